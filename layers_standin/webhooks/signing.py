"""Signatures."""

import hmac
from collections.abc import Sequence


def signature(secrets: Sequence[str], body: bytes, at: int) -> str:
    """Return the header."""
    signed = b"%d." % at + body
    return ",".join([f"t={at}", *(f"v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}" for secret in secrets)])


def verify(header: str, body: bytes, secrets: Sequence[str], now: int, tolerance: int = 300) -> str | None:
    """Verify."""
    return None
