"""Lines of the journal: what is encoded is decoded, and nothing else passes for a line."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.line import (
    Change,
    Entry,
    NotALine,
    decode_header,
    decode_line,
    encode_header,
    encode_line,
    find_whole_line,
    is_whole,
    places,
)

NASTY = [
    '],"documents":[',
    '{"crc":"',
    "\0",
    "\n",
    "\u2028",
    '"',
    "\\",
    "🦊",
    "שלום",
    "مرحبا",
    "e\u0301",
    "\x7f",
    "]",
    "}",
]

texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(NASTY)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
documents = st.dictionaries(texts, values, max_size=3).map(orjson.dumps)
entries = st.lists(st.builds(Entry, texts, texts), max_size=2)
changes = st.builds(Change, texts, texts, texts, st.none() | documents, entries, entries)
lines = st.builds(encode_line, st.integers(1, 2**63 - 1), st.lists(changes, max_size=4))

SAMPLE = encode_line(
    7,
    [
        Change("influencers", "org", "inf_1", b'{"name":"Zo\xc3\xab"}', [Entry("by name", "zoe")], []),
        Change("influencers", "org", "inf_2", None, [], [Entry("by name", "abe")]),
    ],
)


def decoded(line: bytes) -> list[Change]:
    _, heads, start = decode_line(line)
    found = []
    for (table, partition, doc_id, size, *moves), offset in places(heads, start):
        joined, left = ([Entry(*entry) for entry in move] for move in moves or ([], []))
        document = None if size is None else line[offset : offset + size]
        found.append(Change(table, partition, doc_id, document, joined, left))
    return found


@given(st.integers(1, 2**63 - 1), st.lists(changes, max_size=4))
def test_what_is_encoded_is_decoded(seq, given_changes):
    line = encode_line(seq, given_changes)
    assert decode_line(line)[0] == seq
    assert decoded(line) == given_changes


@given(lines)
def test_a_line_is_json_without_a_newline_or_a_zero_byte(line):
    assert orjson.loads(line).keys() == {"crc", "seq", "changes", "documents"}
    assert b"\n" not in line
    assert b"\0" not in line


@pytest.mark.parametrize("nasty", NASTY)
def test_no_text_in_a_document_or_a_name_ends_the_line_or_its_changes(nasty):
    change = Change(nasty, nasty, nasty, orjson.dumps({nasty: nasty}), [Entry(nasty, nasty)], [])
    line = encode_line(1, [change, change])
    assert decoded(line) == [change, change]
    assert find_whole_line(line) == 0
    assert find_whole_line(line[1:]) == -1


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_every_flipped_byte_is_noticed(flip):
    for at in range(len(SAMPLE)):
        flipped = bytearray(SAMPLE)
        flipped[at] ^= flip
        assert not is_whole(bytes(flipped)), f"byte {at}"


def test_every_shorter_or_longer_line_is_refused():
    assert not any(is_whole(SAMPLE[:end]) for end in range(len(SAMPLE)))
    assert not is_whole(SAMPLE + b" ")
    assert not is_whole(b" " + SAMPLE)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_line_are_refused_by_name(data):
    with pytest.raises(NotALine):
        decode_line(data)


def test_a_whole_line_is_found_behind_anything_else():
    assert find_whole_line(b'half {"crc":"' + SAMPLE + b"\nmore") == len(b'half {"crc":"')
    assert find_whole_line(SAMPLE + b"\0\0\0") == 0
    assert find_whole_line(SAMPLE[:-1]) == -1


def test_a_header_says_its_format_and_what_it_was_given():
    header = encode_header(format=3, made="today")
    assert header.endswith(b"\n")
    assert decode_header(header[:-1]) == {"journal": "layers-stand-in", "format": 3, "made": "today"}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(SAMPLE, id="a transaction"),
        pytest.param(encode_header()[:-2], id="cut short"),
        pytest.param(encode_header(format="one")[:-1], id="a format that is no number"),
        pytest.param(encode_header(journal="other")[:-1], id="the header of another program"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_no_header_is_refused(line):
    with pytest.raises(NotALine):
        decode_header(line)
