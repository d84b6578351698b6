"""The console: HTML pages of the store, for people."""
