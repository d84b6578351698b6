"""The texts of the console: values that clients sent, moments, and differences. Escapes nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zlib import crc32

import orjson

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Control characters have pictures; HTML has no way to write most of them, and browsers drop U+0000.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000)), 0xFFFD)

HUES = 8


class Piece(NamedTuple):
    """A part of a value, and whether the other side has it too."""

    text: str
    is_shared: bool


class Difference(NamedTuple):
    """One field before and after a change; no pieces where it was absent."""

    field: str
    before: list[Piece]
    after: list[Piece]


def visible(text: str) -> str:
    """Return a text with symbols for the characters that are invisible, or forbidden in HTML."""
    return text.translate(_PICTURES)


def moment(text: str | None) -> str:
    """Return `18 Apr 2026, 09:18:44` for 2026-04-18T09:18:44.120Z; any other text comes back unchanged."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return text or ""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M:%S}"


def initials(name: str) -> str:
    """Return up to two letters of a name, shown where there is no picture."""
    words = [word for word in ("".join(filter(str.isalnum, part)) for part in name.split()) if word]
    if not words:
        return "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


def hue(identifier: str) -> int:
    """Return one of the HUES for an id: always the same."""
    return crc32(identifier.encode("utf-8", "surrogatepass")) % HUES


def pretty(body: str) -> str:
    """Return JSON indented; other text, and JSON that was cut off, comes back unchanged."""
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except (ValueError, TypeError):
        return body


def texts_of(value: Any) -> list[str]:
    """Return the texts that show a value of a record: one for each item of a list, none for null."""
    if value is None:
        return []
    if isinstance(value, list):
        return [text for item in value for text in texts_of(item)]
    if isinstance(value, Mapping):
        return [_reference(value) if "assetId" in value else orjson.dumps(value).decode()]
    return [str(value) or "“”"] if isinstance(value, str) else [orjson.dumps(value).decode()]


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Difference]:
    """Return the fields that differ; those of a nested object each by themselves."""
    was, became = _leaves(before or {}), _leaves(after)
    fields = dict.fromkeys([*became, *was])
    pairs = ((field, texts_of(was.get(field)), texts_of(became.get(field))) for field in fields)
    return [Difference(field, _pieces(old, new), _pieces(new, old)) for field, old, new in pairs if old != new]


def _pieces(own: list[str], other: list[str]) -> list[Piece]:
    return [Piece(text, text in other) for text in own]


def _leaves(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"personality.tone": …} for {"personality": {"tone": …}}, however deep."""
    leaves: dict[str, Any] = {}
    for field, value in document.items():
        inner = {f"{field}.{name}": each for name, each in _leaves(value).items()} if isinstance(value, Mapping) else {}
        leaves |= inner or {field: None if value == {} else value}
    return leaves


def _reference(entry: Mapping[str, Any]) -> str:
    return f"{entry['assetId']}, added {moment(entry.get('addedAt'))}"
