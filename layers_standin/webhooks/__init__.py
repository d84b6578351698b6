"""Webhooks: events are signed, and posted to the endpoints that listen."""
