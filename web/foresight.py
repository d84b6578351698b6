"""What a request is about to read, told to the store beforehand: where each look is a trip, one is enough for all."""

from collections.abc import Mapping

from engines.table import Record
from records.tables import ALL
from store import Store
from web.keys import PresentedKey
from web.operations import TABLE_OF, Operation

_MOST_KEYS = 1000
_TABLES = TABLE_OF | {"project_id": "projects"}


class Foresight:
    """Remembers whose each key was when it was last seen: a guess what to fetch, and never an answer."""

    def __init__(self) -> None:
        self._homes: dict[str, str] = {}

    def tell(self, store: Store, presented: PresentedKey | None, operation: Operation, ids: Mapping[str, str]) -> None:
        """Have the store fetch what a request with that key needs, if the key is known."""
        home = self._homes.get(presented.public_id) if presented else None
        if presented is None or home is None:
            return
        # What an operation changes it locks as it reads, later on.
        names = () if operation.changes else _TABLES.keys() & ids.keys()
        store.tables.expect(
            ("api_keys", presented.public_id, presented.public_id),
            ("controls", ALL, ALL),
            ("controls", home, home),
            *((_TABLES[name], home, ids[name]) for name in names),
        )

    def learn(self, key: Record) -> None:
        if len(self._homes) > _MOST_KEYS:
            self._homes.clear()
        self._homes[key["publicId"]] = key["organizationId"]
