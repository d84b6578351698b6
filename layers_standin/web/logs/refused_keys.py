"""Why the key of a request was refused, and the headers that came with it: for the request log, after a 401 only."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from layers_standin.domain.keys import Keys, opens
from layers_standin.web.auth import KEY
from layers_standin.web.logs.output import MASK, redacted

CUT = "…"  # the end of a value of which the log has the beginning
MAX_HEADERS, MAX_VALUE = 40, 200
_OF_SECRETS = re.compile(
    r"(?<!idempotency-)key|token|auth|secret|cookie|session|passw|signature|credential", re.IGNORECASE
)
_OF_KEYS = re.compile(r"(?:x-?)?(?:layers-?)?(?:(?:api|auth|access|secret)-?)?(?:key|token|auth)s?", re.IGNORECASE)
_KEY_IN_QUERY = re.compile(r"(?:^|&)(?:x[-_]?)?(?:(?:api|access|auth)[-_]?)?(?:key|token)=", re.IGNORECASE)
# Sent by programs for a variable that is not set, or a template that is not filled in.
_PLACEHOLDER = re.compile(
    r"(?:bearer *)?(?:|undefined|null|none|nil|nan|true|false|\[object \w{1,20}\]|\$\w{1,40}|%\w{1,40}%|<[\w -]{1,40}>"
    r"|\$?\{{1,2} ?[\w.]{1,40} ?\}{1,2}|(?:your|my|the)?[ _-]?(?:layers)?[ _-]?(?:api)?[ _-]?(?:key|token))",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[A-Za-z]{1,20} +(?=\S)")
_OPEN_PART = re.compile(r"(?:[A-Za-z]{1,20} +)?[\"'`]?lp_(?:live|test)_[0-9A-Z]{16}_")
_QUOTES = "\"'`<>\u201c\u201d\u2018\u2019\u00ab\u00bb \t"
_USE = "send it as `X-Api-Key: lp_…`"


def is_secret(name: str) -> bool:
    """Whether the value of a header is left out of the log."""
    return _OF_SECRETS.search(name) is not None


def shown_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return {name: value} of the headers that came, without secrets: the first forty, of long ones the beginning."""
    shown = {}
    for name, value in islice(_headers(environ).items(), MAX_HEADERS):
        text = _masked(value) if is_secret(name) else redacted(value)
        shown[name[:MAX_VALUE]] = text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + CUT
    return shown


def hint_of(environ: Mapping[str, Any], keys: Keys) -> str:
    """Return the probable reason of a 401, in one sentence. Raises EngineError."""
    headers = _headers(environ)
    for name in ("X-Api-Key", "Authorization"):
        if name in headers:
            return _reason(name, headers[name], keys)
    for name, value in headers.items():
        if _OF_KEYS.fullmatch(name) or "lp_" in value:
            return f"The key came in the header {name[:40]}: {_USE}."
    query = environ.get("QUERY_STRING", "")
    is_in_query = _KEY_IN_QUERY.search(query) or redacted(query) != query
    return f"{'The key came in the query' if is_in_query else 'No key came'}: {_USE}."


def _reason(header: str, value: str, keys: Keys) -> str:
    text = value.strip()
    if header == "Authorization" and text[:7].lower() in ("bearer", "bearer "):
        text = text[7:].strip()
    elif header == "Authorization":
        return f"Authorization does not begin with `Bearer`: {_USE}."
    return _fault_of(header, text) or f"The key {_fault_here(text, keys)}."


def _fault_of(header: str, text: str) -> str | None:
    """Return a sentence about a text that does not have the form of a key, None for one that has it."""
    if _PLACEHOLDER.fullmatch(text):
        return f"{header} is {text or 'empty'}, and not a key: is the variable set that should have it?"
    if _SCHEME.match(text):
        return f"{header} has a word before the key: {_USE}."
    if text.strip(_QUOTES) != text:
        return f"{header} has quotes around the key: leave them out."
    if KEY.fullmatch(text) is None:
        return f"{header} is not a whole key: `lp_test_`, 16 characters, `_` and 43 more; {len(text)} characters came."
    return None


def _fault_here(text: str, keys: Keys) -> str:
    """Return the end of the sentence that says why this store does not take a key."""
    environment, public_id, secret = text.split("_", 3)[1:]
    key = keys.find(public_id)
    if key is None:
        return f"{public_id} is not in this store: it is of another one, or went with a reset"
    if key["environment"] != environment:
        return f"{public_id} begins with lp_{key['environment']}_ here"
    if not opens(key, secret):
        return f"{public_id} has another secret here: it was rotated, or is of another store"
    return f"{public_id} is the demo key, which this machine alone may use unless STANDIN_ALLOW_DEMO_KEY is 1"


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return {name: value}; WSGI has the bytes of each value in a string."""
    sent = {name: value for name, value in environ.items() if name.startswith("HTTP_") or name == "CONTENT_TYPE"}
    texts = {name: value.encode("latin-1", "replace").decode(errors="replace") for name, value in sent.items()}
    return {name.removeprefix("HTTP_").replace("_", "-").title(): text for name, text in texts.items()}


def _masked(value: str) -> str:
    """Return `***` for a value, after the public part of a key and signs before it; a placeholder as it is."""
    if _PLACEHOLDER.fullmatch(value.strip()):
        return value
    begin = _OPEN_PART.match(value) or _SCHEME.match(value)
    end = value[-1:] if value[-1:] in ("'", '"', "`") else ""
    return f"{begin[0] if begin else ''}{MASK}{end}"
