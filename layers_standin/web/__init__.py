"""The HTTP layer: authentication, errors, headers, uploads, logs."""
