"""What must not be in any log: the secrets of keys, and the signatures that allow an upload."""

import re

_KEY = re.compile(r"(lp_(?:live|test)_[0-9A-Z]{16}_)[0-9A-Za-z_-]{10,}")
_SIGNATURE = re.compile(r"(/v1/uploads/)[^\s\"'\\]+")
_REDACTED = re.compile(r"(lp_(live|test)_[0-9A-Z]{16}_|/v1/uploads/)\*\*\*")


def redacted(text: str) -> str:
    """Return a text with `***` where a secret stood; what names a key is left."""
    if "lp_" in text:
        text = _KEY.sub(r"\1***", text)
    return _SIGNATURE.sub(r"\1***", text) if "/v1/uploads/" in text else text


def is_redacted(text: str) -> bool:
    """Whether a secret stood in a text, so that it is not what was said."""
    return _REDACTED.search(text) is not None
