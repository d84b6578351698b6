"""What must not be in any log: the secrets of keys, and the signatures that allow an upload."""

import re

# As they are, and as a client may have written them in a URL or in JSON.
_BAR, _SLASH = r"(?:_|(?i:%5f|\\u005f))", r"(?:/|(?i:%2f|\\/|\\u002f))"
_KEY_HEAD = rf"lp{_BAR}(?:live|test){_BAR}[0-9A-Z]{{16}}{_BAR}"
_UPLOAD_HEAD = rf"v1{_SLASH}+uploads{_SLASH}+"
_KEY = re.compile(rf"({_KEY_HEAD})(?:[0-9A-Za-z_-]|{_BAR}|(?i:%2d|\\u002d)){{10,}}")
_SIGNATURE = re.compile(rf"({_UPLOAD_HEAD})(?:[^\s\"'\\&]|\\u)+")
_REDACTED = re.compile(rf"(?:{_KEY_HEAD}|{_UPLOAD_HEAD})\*\*\*")


def redacted(text: str) -> str:
    """Return a text with `***` where a secret stood; what names a key is left."""
    if "lp_" in text or "lp%5" in text or "lp\\u005" in text:  # a look for it is cheaper than an expression
        text = _KEY.sub(r"\1***", text)
    return _SIGNATURE.sub(r"\1***", text) if "uploads" in text else text


def is_redacted(text: str) -> bool:
    """Whether a secret stood in a text, so that it is not what was said."""
    return _REDACTED.search(text) is not None
