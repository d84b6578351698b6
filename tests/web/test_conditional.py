"""Conditions and ranges of requests, for everything that has an ETag: answered as RFC 9110 says."""

from datetime import UTC, datetime, timedelta

import pytest
from api_helpers import AVA_PICTURES, SPRING, refused
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import http_date

from layers_standin.web.conditional import requested_part

KINDS = ["job", "original", "thumbnail", "portrait", "openapi.json", "swagger", "docs", "console page", "style sheet"]
FILES = ["original", "thumbnail", "portrait", "swagger", "docs", "style sheet"]
FAILED = {
    "status": 412,
    "code": "PRECONDITION_FAILED",
    "message": "It is not as If-Match or If-Unmodified-Since says.",
}
NO_SUCH_PART = {"status": 416, "code": "RANGE_NOT_SATISFIABLE", "message": "The file has no such part."}


@pytest.fixture
def path(request, demo, store, organization):
    """Return the path of something of the kind that a test is about."""
    asset = store.for_organization(organization).assets.get(AVA_PICTURES[0])
    fixed = {
        "original": asset["path"],
        "thumbnail": asset["thumbnailPath"],
        "openapi.json": "/openapi.json",
        "swagger": "/docs/swagger-ui.css",
        "docs": "/docs",
        "console page": "/console/controls",
        "style sheet": "/console/static/console.css",
    }
    if request.param == "job":
        return demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Rui"}).json["locationUrl"]
    if request.param == "portrait":
        listed = demo.get(f"/v1/projects/{SPRING}/influencers").json["items"]
        return next(item["thumbnailUrl"] for item in listed if "/portrait/" in item["thumbnailUrl"])
    return fixed[request.param]


@pytest.fixture
def ask(demo, path):
    """Return the function that asks for it under some headers; the reply is read to its end."""

    def ask(method="GET", **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        with demo.open(path, method=method, headers=sent, buffered=True) as response:
            return response

    return ask


all_kinds = pytest.mark.parametrize("path", KINDS, indirect=True)
all_files = pytest.mark.parametrize("path", FILES, indirect=True)


def shown(response):
    """Return what of a response must be the same again."""
    return (response.status_code, response.data, response.headers["ETag"], response.headers["Content-Length"])


@all_kinds
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_as_if_match_says_is_answered_whole(ask, method):
    whole = ask(method)
    tag = whole.headers["ETag"]

    for condition in ("*", tag, f'"x", {tag}', f'W/"x", {tag}', ""):
        assert shown(ask(method, If_Match=condition)) == shown(whole)


@all_kinds
def test_what_is_not_as_if_match_says_is_a_412_in_the_envelope_and_nothing_else(ask):
    tag = ask().headers["ETag"]

    for condition in ('"x"', f"W/{tag}", '"x", W/"y"'):  # a weak tag is no match for If-Match
        assert refused(ask(If_Match=condition)) == FAILED
        assert "ETag" not in ask(If_Match=condition).headers
        head = ask("HEAD", If_Match=condition)
        assert (head.status_code, head.data) == (412, b"")
    assert refused(ask(If_Match='"x"', If_None_Match=tag, Range="bytes=0-1")) == FAILED


@all_kinds
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it_is_told_so_without_the_body(ask, method):
    whole = ask()
    tag = whole.headers["ETag"]

    for condition in ("*", tag, f"W/{tag}", f'"x", {tag}', f'W/"x" , W/{tag}'):
        for further in ({}, {"If_Match": tag}, {"Range": "bytes=0-1"}, {"Range": "bytes=999999999-"}):
            again = ask(method, If_None_Match=condition, **further)
            assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    for condition in ('"x"', 'W/"x", "y"', ""):
        assert ask(If_None_Match=condition).data == whole.data


@all_files
def test_a_file_goes_by_its_date_where_no_tag_is_sent(ask):
    whole = ask()
    tag, changed = whole.headers["ETag"], whole.last_modified
    before, after = (http_date(changed + timedelta(seconds=seconds)) for seconds in (-1, 1))
    same = whole.headers["Last-Modified"]

    assert [ask(If_Modified_Since=date).status_code for date in (before, same, after, "x")] == [200, 304, 304, 200]
    assert refused(ask(If_Unmodified_Since=before)) == FAILED
    assert [ask(If_Unmodified_Since=date).status_code for date in (same, after, "x")] == [200, 200, 200]
    assert ask(If_Modified_Since=after, If_None_Match='"x"').status_code == 200  # a tag counts, then no date does
    assert ask(If_Unmodified_Since=before, If_Match=tag).status_code == 200


@all_files
@pytest.mark.parametrize(
    "header",
    ["items=0-1", "bytes=abc", "bytes=0-1,4-5", "bytes=5-4", "bytes", "bytes=", "bytes=-", "", "x", "bytes=0x1-2"],
)
def test_a_range_that_is_none_or_several_is_ignored(ask, header):
    assert shown(ask(Range=header)) == shown(ask())


@all_files
def test_a_part_of_a_file_is_answered_with_its_place(ask):
    whole = ask()
    size = len(whole.data)

    for header, part in (
        ("bytes=0-9", range(10)),
        ("Bytes = 3-3".replace(" ", ""), range(3, 4)),
        ("bytes=10-", range(10, size)),
        ("bytes=-5", range(size - 5, size)),
        (f"bytes=0-{size * 2}", range(size)),
        (f"bytes=-{size * 2}", range(size)),
    ):
        response = ask(Range=header)
        assert (response.status_code, response.data) == (206, whole.data[part.start : part.stop])
        assert response.headers["Content-Range"] == f"bytes {part.start}-{part.stop - 1}/{size}"
        assert response.headers["ETag"] == whole.headers["ETag"]
        assert int(response.headers["Content-Length"]) == len(part)


@all_files
def test_a_part_behind_the_end_is_a_416_that_says_how_long_the_file_is(ask):
    size = len(ask().data)

    for header in (f"bytes={size}-", f"bytes={size}-{size + 9}", "bytes=-0", f"bytes={10**30}-"):
        response = ask(Range=header)
        assert refused(response) == NO_SUCH_PART
        assert response.headers["Content-Range"] == f"bytes */{size}"


@all_files
def test_a_range_is_for_get_alone(ask):
    whole = ask("HEAD")

    for header in ("bytes=0-9", "bytes=999999999-"):
        assert shown(ask("HEAD", Range=header)) == shown(whole)


@all_files
def test_a_part_is_sent_only_of_the_file_that_if_range_means(ask):
    whole = ask()
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    later = http_date(datetime(2099, 1, 1, tzinfo=UTC))

    for meant in (tag, date):
        assert ask(Range="bytes=0-9", If_Range=meant).data == whole.data[:10]
    for other in ('"x"', f"W/{tag}", later, "x"):
        for header in ("bytes=0-9", "bytes=999999999-"):
            assert shown(ask(Range=header, If_Range=other)) == shown(whole)


@pytest.mark.parametrize("path", ["job", "openapi.json", "console page"], indirect=True)
def test_what_has_no_parts_ignores_ranges(ask):
    whole = ask()

    for header in ("bytes=0-1", "bytes=999999999-"):
        assert (ask(Range=header).status_code, ask(Range=header).data) == (200, whole.data)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30))
def test_a_part_is_where_python_would_slice(first, last, size):
    everything = list(range(size))

    def part(header):
        try:
            return requested_part(header, size)
        except RequestedRangeNotSatisfiable:
            return []

    assert list(part(f"bytes={first}-")) == everything[first:]
    assert list(part(f"bytes=-{last}")) == (everything[-last:] if last else [])
    if last < first:
        assert part(f"bytes={first}-{last}") is None
    else:
        assert list(part(f"bytes={first}-{last}")) == everything[first : last + 1]
