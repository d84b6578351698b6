"""What somebody has set for an organization, or for all: its clock, its faults, and whether its requests are logged.

All of it is one document a scope, for every request has to look: {"id", "clock"?, "faults"?, "isLogged"?}.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from layers_standin.domain.clocks import REAL, Clock
from layers_standin.domain.tables import ALL, Tables
from layers_standin.engines.table import Record


class Overrides(NamedTuple):
    """What holds for the requests of one organization."""

    clock: Clock = REAL
    has_faults: bool = False
    is_logged: bool = True


NO_OVERRIDES = Overrides()


class Controls:
    """What was set for ALL, and for each organization that has something of its own."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def effective(self, organization: str) -> Overrides:
        """Return what holds for an organization: what was set for it, else for ALL; but the faults of both."""
        own, everyone = self._tables.db.read_many([("controls", scope, scope) for scope in (organization, ALL)])
        if own is None and everyone is None:
            return NO_OVERRIDES
        both = (everyone or {}) | (own or {})
        has_faults = any(set_.get("faults") for set_ in (own, everyone) if set_)
        return Overrides(both.get("clock", REAL), has_faults, both.get("isLogged", True))

    def scopes(self) -> list[str]:
        """Return for whom something was set."""
        return [partition for table, partition in self._tables.db.tables() if table == "controls"]

    def own(self, scope: str, name: str) -> Any:
        """Return what was set for an organization, or for ALL, under a name; None when nothing was."""
        return (self._find(scope) or {}).get(name)

    def change(self, scope: str, name: str, change: Callable[[Any], Any]) -> None:
        """Set something to what `change` makes of it, in one step; None unsets it."""
        self._tables.db.run_transaction(partial(self._change, scope, name, change))

    def _change(self, scope: str, name: str, change: Callable[[Any], Any]) -> None:
        with self._tables.db.transaction():
            before = self._find(scope) or {}
            kept = {key: value for key, value in before.items() if key not in (name, "id")}
            value = change(before.get(name))
            after = kept if value is None else kept | {name: value}
            if after:
                self._tables.table("controls", scope).upsert({"id": scope} | after)
            else:
                self._tables.table("controls", scope).remove(doc_ids=[scope])

    def _find(self, scope: str) -> Record | None:
        return self._tables.table("controls", scope).get(doc_id=scope)
