"""The control plane, `/_standin`: commands and queries for the stand-in itself. Not part of the API."""
