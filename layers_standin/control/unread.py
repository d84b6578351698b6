"""What a request sent and nothing read: the API ignores some parts without a word, as the real one does."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from layers_standin.engines.table import Record
from layers_standin.fields import QueryChoices
from layers_standin.web.faults import PREFERRED
from layers_standin.web.operations import Operation

_CONDITIONS = ("If-Match", "If-None-Match")
_OF_FILES = ("If-Range", "Range")


def unread_of(entry: Mapping[str, Any], operation: Operation | None) -> list[Record]:
    """Return the unread parts of a request in the log: [{"in": "query", "header" or "body", "name", "reason"}].

    Of a part of the body the name is a JSON Pointer. A refused request was not read to its end, so it has none.
    """
    if operation is None or entry["status"] >= 400:
        return []
    found = (
        *(("query", name, reason) for name, reason in _of_query(entry["query"], operation)),
        *(("header", name, reason) for name, reason in _of_headers(entry, operation)),
        *(("body", name, reason) for name, reason in _of_body(entry, operation)),
    )
    return [{"in": place, "name": name, "reason": reason} for place, name, reason in found]


def _of_query(query: str, operation: Operation) -> Iterator[tuple[str, str]]:
    fields = {} if operation.query is None or operation.changes else operation.query.fields
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
    for name in dict.fromkeys(names):
        if name not in fields:
            yield name, "This operation has no such parameter."
        elif names.count(name) > 1 and not isinstance(fields[name], QueryChoices):
            yield name, "Of several values only the first counts."


def _of_headers(entry: Mapping[str, Any], operation: Operation) -> Iterator[tuple[str, str]]:
    headers = entry.get("headers", {})
    unread = dict.fromkeys(_OF_FILES, "Only files are sent in parts.")
    if not operation.tagged:
        unread |= dict.fromkeys(_CONDITIONS, "This operation answers no conditional requests.")
    if entry["faultId"] != PREFERRED:
        unread["Prefer"] = "It asks for no fault that the sender may ask for."
    yield from ((name, reason) for name, reason in unread.items() if name in headers)
    if entry["idempotencyKey"] is not None and not operation.changes:
        yield "Idempotency-Key", "Only changes are replayed."


def _of_body(entry: Mapping[str, Any], operation: Operation) -> Iterator[tuple[str, str]]:
    if operation.body is None:
        if entry["request"] or not entry["isWhole"]:
            yield "", "This operation takes no body."
        return
    for pointer in entry.get("dropped", ()):
        yield pointer, "The project has no such asset."
    try:
        parsed = json.loads(entry["request"], object_pairs_hook=_Object)
    except (ValueError, RecursionError):  # none, or cut off
        return
    for pointer in _repeated(parsed, ""):
        yield pointer, "Of several values only the last counts."


class _Object(dict[str, Any]):
    """An object of JSON, with the names that it has more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated = [name for name in self if names.count(name) > 1] if len(names) > len(self) else []


def _repeated(value: Any, pointer: str) -> Iterator[str]:
    """Yield the JSON Pointers of the fields that an object has more than once."""
    if isinstance(value, _Object):
        yield from (_inside(pointer, name) for name in value.repeated)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from _repeated(each, _inside(pointer, str(name)))


def _inside(pointer: str, name: str) -> str:
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
