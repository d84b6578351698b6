"""One module a noun: its rules as small functions on documents, and the shelf that applies them to tables."""
