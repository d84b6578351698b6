"""Settings of the control plane, for one organization or for ALL: clock, faults, and whether requests are logged.

One document a scope, because every request reads it: {"id", "clock"?, "faults"?, "isLogged"?}.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from layers_standin.domain.clocks import REAL, Clock
from layers_standin.domain.tables import ALL, Tables
from layers_standin.engines.table import Record


class Overrides(NamedTuple):
    """The settings that apply to the requests of one organization."""

    clock: Clock = REAL
    has_faults: bool = False
    is_logged: bool = True


NO_OVERRIDES = Overrides()


def overrides_of(own: Record | None, everyone: Record | None) -> Overrides:
    """Return the settings that apply to an organization: its own, else those of ALL; faults apply from both."""
    if own is None and everyone is None:
        return NO_OVERRIDES
    both = (everyone or {}) | (own or {})
    has_faults = any(scope.get("faults") for scope in (own, everyone) if scope)
    return Overrides(both.get("clock", REAL), has_faults, both.get("isLogged", True))


class Controls:
    """The settings of ALL, and of each organization that has its own."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def effective(self, organization: str) -> Overrides:
        """Return the settings that apply to an organization."""
        return overrides_of(*self._tables.db.read_many([("controls", scope, scope) for scope in (organization, ALL)]))

    def each(self, name: str) -> dict[str, Any]:
        """Return the setting `name` of every scope that has it; the key is an organization's id, or ALL."""
        return {own["id"]: own[name] for own in self._tables.db.read_each("controls") if name in own}

    def own(self, scope: str, name: str) -> Any:
        """Return the setting `name` of a scope itself (an organization, or ALL), or None."""
        return (self._find(scope) or {}).get(name)

    def change(self, scope: str, name: str, change: Callable[[Any], Any]) -> None:
        """Replace a setting by `change(setting or None)`, in one transaction; a result of None removes it."""
        self._tables.db.run_transaction(partial(self._change, scope, name, change))

    def _change(self, scope: str, name: str, change: Callable[[Any], Any]) -> None:
        with self._tables.db.transaction():
            before = self._find(scope) or {}
            others = {key: value for key, value in before.items() if key not in (name, "id")}
            value = change(before.get(name))
            after = others if value is None else others | {name: value}
            if after:
                self._tables.table("controls", scope).upsert({"id": scope} | after)
            else:
                self._tables.table("controls", scope).remove(doc_ids=[scope])

    def _find(self, scope: str) -> Record | None:
        return self._tables.table("controls", scope).get(doc_id=scope)
