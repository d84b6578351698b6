"""Injected faults: rules with the requests to match, the effect, and the turns to strike at. Nothing is random.

A rule is {"id", "preset": str or null, "match": {"operation"?, "method"?, "path"?, "keyId"?, "influencerId"?,
"headers"?, "body"?} or {"event"?}, "after", "every", "times": int or null, "answer", "seen", "used", "requestIds",
"createdAt"}; for the fields of the answer see control/schemas.py. Of the requests that it matches, `seen` in number, a
rule lets `after` pass, and then strikes each `every`-th, until it has struck `times`; `requestIds` are the newest ones.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from layers_standin.domain.controls import Controls
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.ids import canonical, mint
from layers_standin.domain.tables import ALL
from layers_standin.domain.times import milliseconds
from layers_standin.engines.table import Record

MOST_RULES = 100
MOST_REQUEST_IDS = 20  # of one rule
# Effects on the delivery of an event: not sent, sent twice, sent later, sent after the next one to its endpoint.
LOST, TWICE, LATE, OUT_OF_ORDER = "lost", "twice", "late", "outOfOrder"
EFFECTS = (LOST, TWICE, LATE, OUT_OF_ORDER)
POST_OPERATIONS = ("scheduleContent", "publishContent")

# In a piece of a path: any text, as OpenAPI, Flask, shells and (for a whole piece) Express write it.
PLACEHOLDER = re.compile(r"\{[^/{}]*\}|<[^/<>]*>|\*+|(?<![^/]):\w+(?![^/])")
_REST = re.compile(r"\*+")
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")
_ABSENT = object()


class RequestInfo(NamedTuple):
    """The facts of a request that rules compare. A key has two ids: its `apiKeyId` and its public id."""

    operation: str
    method: str
    path: str
    key_ids: tuple[str, ...] = ()
    begins_job: bool = False
    event: str | None = None  # the type of a delivery's, which is no request
    request_id: str = ""  # or the id of a delivery
    influencer_ids: frozenset[str] = frozenset()  # those of the path and the body, canonical
    headers: Mapping[str, str] = {}  # by names in small letters
    body: Any = None  # decoded; None if there is none, or none that is JSON

    @property
    def begins_posts(self) -> bool:
        return self.operation in POST_OPERATIONS


def new_rule(body: Mapping[str, Any], now: datetime) -> Record:
    """Return the rule of a validated body; without `times` it applies until it is removed."""
    given = {name: body[name] for name in ("preset", "match", "after", "every", "times", "answer") if name in body}
    return whole_rule({"id": mint("fault"), **given, "used": 0, "createdAt": milliseconds(now)})


def whole_rule(rule: Mapping[str, Any]) -> Record:
    """Return a rule with all its fields, also one that an earlier version has stored."""
    return {
        "id": rule["id"],
        "preset": rule.get("preset"),
        "match": rule["match"],
        "after": rule.get("after", 0),
        "every": rule.get("every", 1),
        "times": rule.get("times"),
        "answer": rule["answer"],
        "seen": rule.get("seen", rule["used"]),
        "used": rule["used"],
        "requestIds": rule.get("requestIds", []),
        "createdAt": rule["createdAt"],
    }


def is_spent(rule: Mapping[str, Any]) -> bool:
    return rule["times"] is not None and rule["used"] >= rule["times"]


def matches(rule: Mapping[str, Any], info: RequestInfo) -> bool:
    """Whether a rule matches a request; a field that is absent from the rule matches any value."""
    match = rule["match"]
    return (
        match.get("operation", info.operation) == info.operation
        and match.get("method", info.method) == info.method
        and ("keyId" not in match or match["keyId"] in info.key_ids)
        and ("path" not in match or fits_path(match["path"], info.path))
        and ("webhook" in rule["answer"]) == (info.event is not None)
        and match.get("event", info.event) == info.event
        and ("influencerId" not in match or canonical(match["influencerId"]) in info.influencer_ids)
        and all(fits_header(value, info.headers.get(name.lower())) for name, value in match.get("headers", {}).items())
        and all(contains(at_pointer(info.body, name), value) for name, value in match.get("body", {}).items())
        and ("failJob" not in rule["answer"] or info.begins_job)
        and ("failPost" not in rule["answer"] or info.begins_posts)
    )


def fits_header(pattern: str, value: str | None) -> bool:
    """Whether a header is there and matches a pattern, in which `*` is any text."""
    return value is not None and fnmatchcase(value, re.sub(r"[?[]", r"[\g<0>]", pattern))


def at_pointer(value: Any, name: str) -> Any:
    """Return the part of decoded JSON at a JSON Pointer, or in the field of that name; _ABSENT without one."""
    for piece in name[1:].split("/") if name.startswith("/") else [name]:
        key = piece.replace("~1", "/").replace("~0", "~") if name.startswith("/") else piece
        if isinstance(value, dict):
            value = value.get(key, _ABSENT)
        elif isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            return _ABSENT
    return value


def contains(value: Any, wanted: Any) -> bool:
    """Whether decoded JSON is as wanted; an object may have more fields, at every level."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(contains(value.get(key, _ABSENT), wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(contains, value, wanted))
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def fits_path(pattern: str, path: str) -> bool:
    """Whether a path matches a pattern, in which a placeholder matches any text without a slash.

    Placeholders are `{name}`, `<name>`, `*`, and `:name` for a whole piece; `*` as the last piece matches all the rest.
    """
    pairs = pairs_of_pieces(pattern, path)
    return pairs is not None and all(fits_piece(piece, other) for piece, other in pairs)


def pairs_of_pieces(pattern: str, path: str) -> list[tuple[str, str]] | None:
    """Return the pieces of both, side by side, or None when they have not as many."""
    pieces = pattern.split("/")
    others = path.split("/", len(pieces) - 1 if _REST.fullmatch(pieces[-1]) else -1)
    return list(zip(pieces, others, strict=True)) if len(pieces) == len(others) else None


def fits_piece(pattern: str, piece: str) -> bool:
    """Whether a piece of a path matches one of a pattern.

    Match from left to right without backtracking, which could take hours with a regular expression.
    """
    first, *rest = PLACEHOLDER.split(pattern)
    if not rest or not piece.startswith(first):
        return piece == pattern
    *inner, last = rest
    end = len(first)
    for part in inner:
        start = piece.find(part, end + 1)
        if start < 0:
            return False
        end = start + len(part)
    return piece.endswith(last) and len(piece) - len(last) > end


def first_match(rules: Iterable[Record], info: RequestInfo) -> Record | None:
    """Return the first rule that matches a request and is not spent, or None."""
    return next((rule for rule in rules if not is_spent(rule) and matches(rule, info)), None)


def strike(rules: Iterable[Record], info: RequestInfo) -> Record | None:
    """Count a request in each rule that it comes to, and return the one that strikes it, or None.

    It comes to no rule after that one.
    """
    for rule in rules:
        if is_spent(rule) or not matches(rule, info):
            continue
        rule |= whole_rule(rule)
        rule["seen"] += 1
        turn = rule["seen"] - rule["after"]
        if turn > 0 and turn % rule["every"] == 0:
            rule["used"] += 1
            rule["requestIds"] = [*rule["requestIds"], info.request_id][-MOST_REQUEST_IDS:]
            return rule
    return None


class Faults:
    """The stored rules: those for one organization, and those for all."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def of(self, scope: str) -> list[Record]:
        """Return the rules of an organization, or of ALL, oldest first, with the spent ones."""
        return self._controls.own(scope, "faults") or []

    def add(self, scope: str, *added: Record) -> None:
        """Add rules. Raises Conflict when there would be more than MOST_RULES, none of them spent."""
        self._controls.change(scope, "faults", lambda rules: [*_with_room(rules or [], len(added)), *added])

    def remove(self, scope: str, rule_id: str) -> None:
        """Remove a rule of an organization; with ALL, of any scope. Raises NotFound."""
        rules = self._controls.each("faults") if scope == ALL else {scope: self.of(scope)}
        owner = next((each for each in rules if any(rule["id"] == rule_id for rule in rules[each])), None)
        if owner is None:
            raise NotFound("Fault not found.")
        self._controls.change(owner, "faults", lambda rules: _without(rules or [], rule_id) or None)

    def clear(self, scope: str) -> None:
        self._controls.change(scope, "faults", lambda _: None)

    def take(self, organization: str, info: RequestInfo) -> Record | None:
        """Return the rule that strikes a request, or None; the organization's own rules come first.

        Rules count under the lock: each request has one place among those that a rule matches, on every worker.
        """
        for scope in (organization, ALL):
            if first_match(self.of(scope), info) is not None and (rule := self._count(scope, info)):
                return rule
        return None

    def _count(self, scope: str, info: RequestInfo) -> Record | None:
        found: Record | None = None

        def count(rules: list[Record] | None) -> list[Record] | None:
            nonlocal found
            found = strike(rules or [], info)
            return rules

        self._controls.change(scope, "faults", count)
        return found


def _with_room(rules: list[Record], number: int) -> list[Record]:
    """Return the rules, or if there is no room for more of this number, those not spent. Raises Conflict."""
    most = MOST_RULES - number
    remaining = rules if len(rules) <= most else [rule for rule in rules if not is_spent(rule)]
    if len(remaining) > most:
        raise Conflict(f"There are {MOST_RULES} faults already.", subcode="TOO_MANY_FAULTS")
    return remaining


def _without(rules: list[Record], rule_id: str) -> list[Record]:
    return [rule for rule in rules if rule["id"] != rule_id]
