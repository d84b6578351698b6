"""Webhooks: one thread of all workers and hosts posts the events that have come about."""
