"""What is read of a body: JSON in UTF-8, of a limited size, whatever its headers say."""

import gzip
import zlib
from io import BytesIO

import pytest
from api_helpers import TOO_LARGE, invalid, refused, unchanged
from conftest import AVA_PATH
from request_helpers import CHANGES, IMAGES_PATH

MALFORMED = {
    "cut off": b'{"vibe": "x"',
    "single quotes": b"{'vibe': 'x'}",
    "trailing comma": b'{"vibe": "x",}',
    "two documents": b'{"vibe": "x"} {}',
    "a comment": b'{"vibe": "x"} // x',
    "spaces only": b"  \n",
    "NaN": b'{"vibe": NaN}',
    "Infinity": b'{"vibe": Infinity}',
    "minus Infinity": b'{"vibe": -Infinity}',
    "a leading zero": b'{"vibe": 01}',
    "a lone high surrogate": b'{"vibe": "\\ud83d"}',
    "a lone low surrogate": b'{"vibe": "\\ude00"}',
    "surrogates the wrong way round": b'{"vibe": "\\ude00\\ud83d"}',
    "a raw control character": b'{"vibe": "\n"}',
    "deep arrays": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"personality":' * 10_000 + b"1" + b"}" * 10_000,
    "a form": b"vibe=x",
}
NOT_UTF_8 = {
    "latin-1": b'{"vibe": "caf\xe9"}',
    "a surrogate in bytes": b'{"vibe": "\xed\xa0\x80"}',
    "overlong": b'{"vibe": "\xc0\x80"}',
    "UTF-16": '{"vibe": "x"}'.encode("utf-16"),
    "cut off inside a character": b'{"vibe": "\xf0\x9f\x98',
}


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in CHANGES])
@pytest.mark.parametrize(
    ("body", "beginning"),
    [(body, "Malformed JSON: ") for body in MALFORMED.values()]
    + [(body, "Body is not valid UTF-8 at byte ") for body in NOT_UTF_8.values()],
    ids=[*MALFORMED, *NOT_UTF_8],
)
def test_a_body_that_is_no_json_is_refused_and_changes_nothing(demo, on_disk, method, path, body, beginning):
    is_unchanged = unchanged(on_disk)

    found = refused(demo.open(path, method=method, data=body))

    (message,) = found["details"]["formErrors"]
    assert message.startswith(beginning)
    assert found == invalid(message)
    assert is_unchanged()


@pytest.mark.parametrize(("method", "path"), [("PATCH", AVA_PATH), ("POST", IMAGES_PATH)])
def test_an_empty_body_is_refused_where_one_is_needed(demo, on_disk, method, path):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.open(path, method=method)) == invalid("Malformed JSON: the body is empty")
    assert is_unchanged()


@pytest.mark.parametrize(
    ("body", "received"),
    [(b"null", "null"), (b"[]", "array"), (b'"x"', "string"), (b"1", "number"), (b"true", "boolean")],
)
@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in CHANGES])
def test_a_body_that_is_no_object_is_refused_and_changes_nothing(demo, on_disk, method, path, body, received):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.open(path, method=method, data=body)) == invalid(f"Expected object, received {received}")
    assert is_unchanged()


GZIPPED = gzip.compress(b'{"vibe": "x"}', mtime=0)
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="vibe"\r\n\r\nx\r\n--b--\r\n'
FORM = "the body is a form; send JSON"
COMPRESSED = "the body is compressed; send it as it is"
IN_WORDS = [
    (b"vibe=x", {}, FORM),
    (b"vibe=x&name=Ava+Chen", {"Content-Type": "application/x-www-form-urlencoded"}, FORM),
    (b"a%5B0%5D=1", {}, FORM),
    (MULTIPART, {}, "the body is a multipart form; send JSON"),
    (
        MULTIPART.replace(b"\r", b"").lower(),
        {"Content-Type": "multipart/form-data; boundary=b"},
        "the body is a multipart form; send JSON",
    ),
    (GZIPPED, {}, COMPRESSED),
    (zlib.compress(b'{"vibe": "x"}'), {}, COMPRESSED),
    (GZIPPED, {"Content-Encoding": "identity"}, COMPRESSED),
    *(
        (body, {"Content-Encoding": coding}, f"the body was sent with Content-Encoding: {coding}; send it without")
        for coding in ("gzip", "br", "deflate", "zstd", "GZIP", "gzip, br")
        for body in (GZIPPED, b"\x0b\x06\x80{}\x03", b"\xab\x56\x2a")
    ),
    (
        b"\xff",
        {"Content-Encoding": "x" * 5_000},
        f"the body was sent with Content-Encoding: {'x' * 40}; send it without",
    ),
    ('\ufeff{"vibe": "x"}'.encode(), {}, "the body begins with a byte order mark; send it without"),
]


@pytest.mark.parametrize(("body", "headers", "words"), IN_WORDS)
@pytest.mark.parametrize(("method", "path"), [("PATCH", AVA_PATH), ("DELETE", AVA_PATH), ("PUT", "/_standin/clock")])
def test_of_a_body_in_another_format_the_refusal_says_which(demo, on_disk, method, path, body, headers, words):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.open(path, method=method, data=body, headers=headers)) == invalid(f"Malformed JSON: {words}")
    assert is_unchanged()


@pytest.mark.parametrize("encoding", ["identity", "gzip", "", "x"])
def test_a_body_is_json_whatever_its_encoding_says(demo, encoding):
    response = demo.patch(AVA_PATH, data=b'{"vibe": "x"}', headers={"Content-Encoding": encoding})

    assert (response.status_code, response.json["vibe"]) == (200, "x")


@pytest.mark.parametrize("size", [(1 << 20) + 1, 2 << 20])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in CHANGES])
def test_a_body_over_one_mebibyte_is_too_large(demo, on_disk, method, path, chunked, size):
    is_unchanged = unchanged(on_disk)
    body = b'{"vibe": "x"}'.ljust(size)
    sent = {"input_stream": BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}

    response = demo.open(path, method=method, **(sent if chunked else {"data": body}))

    assert refused(response) == TOO_LARGE
    assert is_unchanged()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_one_mebibyte_is_not_too_large(demo, chunked):
    body = b'{"vibe": "x"}'.ljust(1 << 20)
    sent = {"input_stream": BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}

    assert demo.patch(AVA_PATH, **(sent if chunked else {"data": body})).json["vibe"] == "x"


def test_of_duplicate_keys_the_last_wins(demo):
    body = b'{"vibe": 1, "vibe": "first", "personality": {"tone": "a", "tone": "b"}, "vibe": "last"}'

    record = demo.patch(AVA_PATH, data=body).json

    assert (record["vibe"], record["personality"]["tone"]) == ("last", "b")


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "é", ""],
)
def test_a_body_is_json_whatever_its_content_type_says(demo, content_type):
    response = demo.patch(AVA_PATH, data=b'{"vibe": "x"}', content_type=content_type)

    assert (response.status_code, response.json["vibe"]) == (200, "x")


def test_a_body_is_utf_8_whatever_charset_its_content_type_names(demo):
    body = '{"vibe": "é"}'.encode()

    assert demo.patch(AVA_PATH, data=body, content_type="application/json; charset=latin-1").json["vibe"] == "é"


@pytest.mark.parametrize("path", ["/v1/whoami", AVA_PATH])
def test_what_a_get_sends_along_is_not_looked_at(demo, path):
    headers = {"Idempotency-Key": "x" * 300}

    assert demo.get(f"{path}?x=1", data=b"{", headers=headers).status_code == 200
