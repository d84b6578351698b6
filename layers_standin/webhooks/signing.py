"""The signature of a delivery: `t=<unix seconds>,v1=<hex>[,v1=<hex>]`, an HMAC-SHA256 of `<t>.<raw body>`."""

import hmac
import re
from collections.abc import Sequence

TOLERANCE_SECONDS = 300
_AT = re.compile(r"[0-9]{1,12}")


def signature(secrets: Sequence[str], body: bytes, at: int) -> str:
    """Return the value of X-Layers-Signature at a moment in Unix seconds, with one `v1` for each secret."""
    return ",".join([f"t={at}", *(f"v1={_digest(secret, body, str(at))}" for secret in secrets)])


def verify(
    header: str | None, body: bytes, secrets: Sequence[str], now: float, tolerance: float = TOLERANCE_SECONDS
) -> str | None:
    """Return the reason, a sentence, why X-Layers-Signature does not prove a body; None if it does.

    `now` is in Unix seconds. One `v1` that one of the secrets made is enough.
    """
    if not header:
        return "There is no X-Layers-Signature."
    pairs = [part.strip().partition("=")[::2] for part in header.split(",")]
    moments = [value for name, value in pairs if name == "t"]
    digests = [value.encode(errors="replace") for name, value in pairs if name == "v1"]
    if len(moments) != 1 or not _AT.fullmatch(moments[0]) or not digests:
        return "X-Layers-Signature is not of the form t=<unix seconds>,v1=<hex>."
    wanted = [_digest(secret, body, moments[0]).encode() for secret in secrets]
    if not any(hmac.compare_digest(digest, each) for digest in digests for each in wanted):
        return "The signature is not one of this body by this secret."
    seconds = now - int(moments[0])
    if abs(seconds) > tolerance:
        return (
            f"The signature is {abs(seconds):.0f} s {'old' if seconds > 0 else 'ahead'}; {tolerance:g} s are allowed."
        )
    return None


def _digest(secret: str, body: bytes, at: str) -> str:
    return hmac.digest(secret.encode(), at.encode() + b"." + body, "sha256").hex()
