"""Targets."""


class Refused(Exception):
    """No."""


def check_url(url: str, allowed: str) -> None:
    """Check."""
