"""The operations of further nouns, one module each beside the schemas of its bodies; `app.py` puts them together."""
