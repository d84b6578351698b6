"""The two logs: a line a request on standard output, and the newest requests in a file."""
