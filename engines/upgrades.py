"""Documents of an older format, brought up to date one by one, on any engine."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

Upgrade = Callable[[str, dict[str, Any]], dict[str, Any]]  # table, document of format n → document of format n + 1
Transform = Callable[[str, bytes], bytes]  # table, a document's JSON → its JSON


def upgrading(upgrades: Mapping[int, Upgrade], found: int, wanted: int) -> Transform:
    """Return what makes documents of format `found` those of format `wanted`."""
    steps = [upgrades[number] for number in range(found, wanted)]

    def transform(table: str, document: bytes) -> bytes:
        record = orjson.loads(document)
        for step in steps:
            record = step(table, record)
        return orjson.dumps(record)

    return transform
