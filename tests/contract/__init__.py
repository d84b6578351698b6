"""What `docs/conformance.md` is made of: a service is asked for all that its document tells, and the answers are kept.

`documented.py` is what there is to prove, `service.py` asks, `answers.py` judges with `conformance.py`; `replies.py`
and `refusals.py` are what is asked; `in_process.py` looks where no request gets to; `programs.py` runs what partners
might write; `gather.py` is all of it together, and `page.py` the same in words.
"""
