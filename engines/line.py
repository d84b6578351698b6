"""One line of the journal, to bytes and back.

    {"crc":"1c291ca3","seq":7,"changes":[["influencers","<org>","inf_1",612]],"documents":[{...}]}

`crc` is CRC-32 over all that follows it, `seq` counts lines without a gap, and every change is
[table, partition, id, size of its document in bytes or null when it was removed, lists joined, lists left],
the last two only where there are any, each a list of [list name, place in it]. The documents stand at the end
in the order of their changes, so that their places are known without parsing them. JSON escapes newlines and
quotes inside strings: a raw newline ends a line, and the first raw `],"documents":[` ends the changes.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from zlib import crc32

import orjson

OLDEST = FORMAT = 1

_OPEN = b'{"crc":"'
_BODY = len(_OPEN) + 8 + len(b'",')
_SPLIT = b'],"documents":['

_KIND = "layers-stand-in"


class Entry(NamedTuple):
    """A document's place in one ordered list: the list's name, and the string it is sorted by."""

    group: str
    key: str


class Change(NamedTuple):
    """One document after a transaction; `document` is its JSON, or None when it was removed."""

    table: str
    partition: str
    doc_id: str
    document: bytes | None
    joined: list[Entry]
    left: list[Entry]


class NotALine(ValueError):
    """These bytes are no whole line; the message says why."""


def encode_header(**facts: Any) -> bytes:
    """Return the first line, newline included; `facts` must be JSON."""
    return _seal(orjson.dumps({"journal": _KIND, "format": FORMAT} | facts)[1:]) + b"\n"


def decode_header(line: bytes) -> dict[str, Any]:
    """Return the header's facts. Raises NotALine."""
    header = orjson.loads(b"{" + _checked(line))
    if header.get("journal") != _KIND or not isinstance(header.get("format"), int):
        raise NotALine("not the header of a journal")
    return dict(header)


def encode_line(seq: int, changes: Iterable[Change]) -> bytes:
    """Return the line of one commit, without its newline."""
    listed = list(changes)
    heads = orjson.dumps([_head(change) for change in listed])[1:-1]
    documents = b",".join(change.document for change in listed if change.document is not None)
    return _seal(b'"seq":%d,"changes":[%b%b%b]}' % (seq, heads, _SPLIT, documents))


def decode_line(line: bytes) -> tuple[int, list[list[Any]], int]:
    """Return (seq, changes as listed in the line, where its first document begins).

    Raises NotALine when the checksum or the shape is wrong.
    """
    body = _checked(line)
    split = body.find(_SPLIT)
    if split < 0:
        raise NotALine("no documents in it")
    head = orjson.loads(b"{" + body[:split] + b"]}")
    return head["seq"], head["changes"], _BODY + split + len(_SPLIT)


def places(changes: Iterable[list[Any]], start: int) -> Iterator[tuple[list[Any], int]]:
    """Yield every change with the offset of its document, the first of which begins at `start`."""
    for change in changes:
        yield change, start
        if change[3] is not None:
            start += change[3] + 1


def is_whole(line: bytes) -> bool:
    """Whether these bytes are exactly one line that was written by us."""
    try:
        decode_line(line)
    except NotALine:
        return False
    return True


def find_whole_line(data: bytes) -> int:
    """Return where in `data` the first whole line begins, or -1: what tells damage from a torn tail."""
    start = data.find(_OPEN)
    while start >= 0:
        end = data.find(b"\n", start)
        if is_whole(data[start : end if end >= 0 else None].rstrip(b"\0")):
            return start
        start = data.find(_OPEN, start + 1)
    return -1


def _head(change: Change) -> list[Any]:
    size = None if change.document is None else len(change.document)
    head: list[Any] = [change.table, change.partition, change.doc_id, size]
    if change.joined or change.left:
        head += [[list(entry) for entry in entries] for entries in (change.joined, change.left)]
    return head


def _seal(body: bytes) -> bytes:
    return b'%b%08x",%b' % (_OPEN, crc32(body), body)


def _checked(line: bytes) -> bytes:
    body = line[_BODY:]
    if line[:_BODY] != b'%b%08x",' % (_OPEN, crc32(body)):
        raise NotALine("its checksum does not match")
    return body
