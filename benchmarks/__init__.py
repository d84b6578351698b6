"""The performance claims, runnable: `python benchmarks/http.py`, `python benchmarks/store.py`."""
