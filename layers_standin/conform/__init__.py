"""Whether a server keeps the contract: `checks.py` is what to ask, `run.py` asks, `report.py` tells it.

`document.py` and `bodies.py` are tables that the tests of this service use too; `client.py` sends, and keeps within the
limits of a real service; `expectations.py` compares.
"""
