"""The checks that only ask, of keys and of the lists of the account."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from layers_standin.conform.check import DOCUMENTATION, WITH_KEY, Check
from layers_standin.conform.client import KEY
from layers_standin.conform.expectations import AtMost, EachItem, Expectation, Lists, NewestFirst

# Keys


def _whoami(name: str, must: str, expected: int | str, headers: Mapping[str, str], **more: Any) -> Check:
    return Check(
        f"whoami:{name}" if name else "whoami", "whoami", DOCUMENTATION, must, (expected,), headers=headers, **more
    )


_WRONG_KEY = f"lp_test_0000000000000000_{'0' * 43}"
KEYS = [
    _whoami("", "it tells whose key it is", 200, WITH_KEY),
    _whoami("bearer", "a key may be sent as a Bearer token", 200, {"Authorization": f"Bearer {KEY}"}),
    _whoami("malformed-key", "a key that is none is refused", "Unauthenticated", {"X-Api-Key": "none"}),
    _whoami("unknown-key", "a key that is unknown is refused", "Unauthenticated", {"X-Api-Key": _WRONG_KEY}),
    _whoami(
        "two-keys",
        "of two keys that in X-Api-Key counts, also when it is wrong",
        "Unauthenticated",
        {"X-Api-Key": _WRONG_KEY, "Authorization": f"Bearer {KEY}"},
    ),
]

# Lists, of what the account has


def _list(name: str, must: str, query: Mapping[str, str], *then: Expectation, operation: str = "listProjects") -> Check:
    return Check(f"{operation}:{name}", operation, DOCUMENTATION, must, (200,), query=query, then=then)


def _bad_query(operation: str, name: str, query: Mapping[str, str]) -> Check:
    must = "a query that is wrong is refused"
    return Check(f"{operation}:{name}", operation, DOCUMENTATION, must, ("Invalid",), query=query)


LISTS = [
    _list("newest-first", "the newest comes first", {}, NewestFirst("createdAt")),
    replace(
        _list("limit-1", "a page has no more items than the limit", {"limit": "1"}, AtMost(1)),
        gives={"first": "/items/0/id", "cursor": "/nextCursor"},
    ),
    _list(
        "next-page",
        "the next page goes on after the one before",
        {"limit": "1", "cursor": "{cursor}"},
        AtMost(1),
        Lists("id", absent=("{first}",)),
    ),
    _list("unknown-parameter", "a parameter that it does not know is ignored", {"unheardOf": "1"}),
    _list("archived", "the filter keeps others out", {"status": "archived"}, EachItem({"status": "archived"})),
    _bad_query("listProjects", "limit-201", {"limit": "201"}),
    _bad_query("listProjects", "status-x", {"status": "x"}),
    _bad_query("listInfluencers", "limit-101", {"limit": "101"}),
    _bad_query("listInfluencers", "status-x", {"status": "x"}),
    _list("newest-first", "the newest comes first", {}, NewestFirst("createdAt"), operation="listInfluencers"),
    _list("newest-first", "the newest comes first", {}, NewestFirst("createdAt"), operation="listContent"),
    Check(
        "getInstallUrl:stranger",
        "getInstallUrl",
        DOCUMENTATION,
        "a URL that is not on the list of allowed ones is refused",
        ("ReturnUrlNotAllowed",),
        query={"returnUrl": "https://conform.example/"},
    ),
]
