"""Injected faults: rules with the requests to match, the effect, and the number of times. Nothing is random.

A rule is {"id", "match": {"operation"?, "method"?, "path"?, "keyId"?}, "times": int or null, "used", "answer",
"createdAt"}; for the fields of the answer see control/schemas.py.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from layers_standin.domain.controls import Controls
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.ids import mint
from layers_standin.domain.tables import ALL
from layers_standin.domain.times import milliseconds
from layers_standin.engines.table import Record

MOST_RULES = 100
POST_OPERATIONS = ("scheduleContent", "publishContent")

# In a piece of a path: any text, as OpenAPI, Flask, shells and (for a whole piece) Express write it.
PLACEHOLDER = re.compile(r"\{[^/{}]*\}|<[^/<>]*>|\*+|(?<![^/]):\w+(?![^/])")
_REST = re.compile(r"\*+")


class RequestInfo(NamedTuple):
    """The facts of a request that rules compare. A key has two ids: its `apiKeyId` and its public id."""

    operation: str
    method: str
    path: str
    key_ids: tuple[str, ...] = ()
    begins_job: bool = False

    @property
    def begins_posts(self) -> bool:
        return self.operation in POST_OPERATIONS


def new_rule(body: Mapping[str, Any], now: datetime) -> Record:
    """Return the rule of a validated body; without `times` it applies until it is removed."""
    rule = {"match": body["match"], "times": body.get("times"), "answer": body["answer"]}
    return {"id": mint("fault"), **rule, "used": 0, "createdAt": milliseconds(now)}


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
        and ("failJob" not in rule["answer"] or info.begins_job)
        and ("failPost" not in rule["answer"] or info.begins_posts)
    )


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


class Faults:
    """The stored rules: those for one organization, and those for all."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def of(self, scope: str) -> list[Record]:
        """Return the rules of an organization, or of ALL, oldest first, with the spent ones."""
        return self._controls.own(scope, "faults") or []

    def add(self, scope: str, rule: Record) -> None:
        """Add a rule. Raises Conflict when there are MOST_RULES, none of them spent."""
        self._controls.change(scope, "faults", lambda rules: [*_with_room(rules or []), rule])

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
        """Return the first matching rule, with its count raised, or None; the organization's own rules come first."""
        for scope in (organization, ALL):
            if first_match(self.of(scope), info) is not None and (rule := self._count(scope, info)):
                return rule
        return None

    def _count(self, scope: str, info: RequestInfo) -> Record | None:
        """Return the first match with its count raised, or None; under the lock, because it may be spent by then."""
        found: Record | None = None

        def count(rules: list[Record] | None) -> list[Record] | None:
            nonlocal found
            found = first_match(rules or [], info)
            if found is not None:
                found["used"] += 1
            return rules

        self._controls.change(scope, "faults", count)
        return found


def _with_room(rules: list[Record]) -> list[Record]:
    """Return fewer than MOST_RULES rules: at that number, the spent ones are removed. Raises Conflict."""
    remaining = rules if len(rules) < MOST_RULES else [rule for rule in rules if not is_spent(rule)]
    if len(remaining) >= MOST_RULES:
        raise Conflict(f"There are {MOST_RULES} faults already.", subcode="TOO_MANY_FAULTS")
    return remaining


def _without(rules: list[Record], rule_id: str) -> list[Record]:
    return [rule for rule in rules if rule["id"] != rule_id]
