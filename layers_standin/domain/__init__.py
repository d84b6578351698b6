"""One module a noun: its rules as small functions on documents, and the repository that applies them to tables."""
