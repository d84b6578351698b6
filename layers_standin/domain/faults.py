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

_PLACEHOLDER = re.compile(r"\{[^/{}]*\}")


class RequestInfo(NamedTuple):
    """The facts of a request that rules compare. A key has two ids: its `apiKeyId` and its public id."""

    operation: str
    method: str
    path: str
    key_ids: tuple[str, ...] = ()
    begins_job: bool = False


def new_rule(body: Mapping[str, Any], now: datetime) -> Record:
    """Return the rule of a validated body; without `times` it applies until it is removed."""
    told = {"match": body["match"], "times": body.get("times"), "answer": body["answer"]}
    return {"id": mint("fault"), **told, "used": 0, "createdAt": milliseconds(now)}


def is_spent(rule: Mapping[str, Any]) -> bool:
    return rule["times"] is not None and rule["used"] >= rule["times"]


def matches(rule: Mapping[str, Any], asked: RequestInfo) -> bool:
    """Whether a rule matches this request; a field that the rule leaves out matches anything."""
    match = rule["match"]
    return (
        match.get("operation", asked.operation) == asked.operation
        and match.get("method", asked.method) == asked.method
        and ("keyId" not in match or match["keyId"] in asked.key_ids)
        and ("path" not in match or fits_path(match["path"], asked.path))
        and ("failJob" not in rule["answer"] or asked.begins_job)
    )


def fits_path(pattern: str, path: str) -> bool:
    """Whether a path matches a pattern, in which a `{placeholder}` matches any text without a slash."""
    pieces, others = pattern.split("/"), path.split("/")
    return len(pieces) == len(others) and all(map(_fits_piece, pieces, others))


def _fits_piece(pattern: str, piece: str) -> bool:
    """Match from left to right without backtracking, which could take hours with a regular expression."""
    first, *rest = _PLACEHOLDER.split(pattern)
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


def first_match(rules: Iterable[Record], asked: RequestInfo) -> Record | None:
    """Return the oldest rule that is about a request and not spent."""
    return next((rule for rule in rules if not is_spent(rule) and matches(rule, asked)), None)


class Faults:
    """The rules in force: those for one organization, and those for all."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def of(self, scope: str) -> list[Record]:
        """Return the rules of an organization, or of ALL, oldest first, spent ones among them."""
        return self._controls.own(scope, "faults") or []

    def add(self, scope: str, rule: Record) -> None:
        """Add a rule. Raises Conflict when MOST_RULES are there and none is spent."""
        self._controls.change(scope, "faults", lambda rules: [*_with_room(rules or []), rule])

    def remove(self, scope: str, rule_id: str) -> None:
        """Remove a rule of an organization, or with ALL of anyone. Raises NotFound."""
        scopes = self._controls.scopes() if scope == ALL else [scope]
        owner = next((each for each in scopes if any(rule["id"] == rule_id for rule in self.of(each))), None)
        if owner is None:
            raise NotFound("Fault not found.")
        self._controls.change(owner, "faults", lambda rules: _without(rules or [], rule_id) or None)

    def clear(self, scope: str) -> None:
        self._controls.change(scope, "faults", lambda _: None)

    def take(self, organization: str, asked: RequestInfo) -> Record | None:
        """Return the rule that matches this request, counted once more, or None; the organization's own come first."""
        for scope in (organization, ALL):
            if first_match(self.of(scope), asked) is not None and (rule := self._count(scope, asked)):
                return rule
        return None

    def _count(self, scope: str, asked: RequestInfo) -> Record | None:
        """Return the first match with its count raised, or None; under the lock, for the rule may be spent by now."""
        found: Record | None = None

        def count(rules: list[Record] | None) -> list[Record] | None:
            nonlocal found
            found = first_match(rules or [], asked)
            if found is not None:
                found["used"] += 1
            return rules

        self._controls.change(scope, "faults", count)
        return found


def _with_room(rules: list[Record]) -> list[Record]:
    """Return fewer than MOST_RULES rules; spent ones go if there are too many. Raises Conflict."""
    kept = rules if len(rules) < MOST_RULES else [rule for rule in rules if not is_spent(rule)]
    if len(kept) >= MOST_RULES:
        raise Conflict(f"There are {MOST_RULES} faults already.", subcode="TOO_MANY_FAULTS")
    return kept


def _without(rules: list[Record], rule_id: str) -> list[Record]:
    return [rule for rule in rules if rule["id"] != rule_id]
