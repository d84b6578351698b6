"""What `docs/conformance.md` is made of: a service is asked for all that its document tells, and the answers are kept.

`told.py` is what there is to prove, `service.py` asks and `answers.py` judges; `replies.py` and `refusals.py` are what
is asked; `inside.py` looks where no request gets to; `programs.py` runs what partners might write; `gathered.py` is all
of it together, and `page.py` the same in words.
"""
