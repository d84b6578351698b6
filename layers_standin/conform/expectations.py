"""What a reply must be beside its form, and in which point one is not."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import orjson

ANY: Any = ...  # stands for any value in what is expected
NOTHING: Any = object()
_MAX_SHOWN = 160


class Difference(NamedTuple):
    """What was expected, and what came instead, both in words."""

    expected: str
    received: str


class Expectation(Protocol):
    """Something that holds of the JSON of a reply."""

    def differences(self, body: Any) -> Iterator[Difference]:
        """Yield where it does not hold."""
        ...


class Shows(NamedTuple):
    """The body has these values, by the names of fields with dots between them; of those in `but` it may have others.

    A field of the body itself that is not there at all is no difference: that the form lacks it is told once.
    """

    value: Any
    but: tuple[str, ...] = ()

    def differences(self, body: Any) -> Iterator[Difference]:
        if isinstance(self.value, Mapping) and isinstance(body, Mapping):
            for name, expected in self.value.items():
                if name.partition(".")[0] in body and name not in self.but:
                    yield from _compared(expected, _at(body, name), name)
        else:
            yield from _compared(self.value, body, "the reply")


class Lacks(NamedTuple):
    """There is no field of this name, with dots in it, in the body."""

    name: str

    def differences(self, body: Any) -> Iterator[Difference]:
        found = _at(body, self.name)
        if found is not NOTHING:
            yield Difference(f"{self.name} is not there", shown(found))


class EachItem(NamedTuple):
    """Every item of a page has these values."""

    values: Mapping[str, Any]

    def differences(self, body: Any) -> Iterator[Difference]:
        for number, item in enumerate(_items(body)):
            for name in self.values.keys() & item.keys():
                yield from _compared(self.values[name], item[name], f"items.{number}.{name}")


class AtMost(NamedTuple):
    """A page has no more than this many items."""

    limit: int

    def differences(self, body: Any) -> Iterator[Difference]:
        if len(_items(body)) > self.limit:
            yield Difference(f"at most {self.limit} item(s)", f"{len(_items(body))} items")


class Lists(NamedTuple):
    """A list has one item with each of these values of a field, and none with those others."""

    field: str
    present: tuple[Any, ...] = ()
    absent: tuple[Any, ...] = ()
    where: str = "items"

    def differences(self, body: Any) -> Iterator[Difference]:
        found = [item.get(self.field) for item in _items(body, self.where)]
        for values, expected in ((self.present, 1), (self.absent, 0)):
            for value in values:
                if found.count(value) != expected:
                    wanted = f"{expected} of {self.where} with {self.field} {shown(value)}"
                    yield Difference(wanted, str(found.count(value)))


class NewestFirst(NamedTuple):
    """The items of a page are in the order of this time, the latest first."""

    field: str

    def differences(self, body: Any) -> Iterator[Difference]:
        times = [str(item[self.field]) for item in _items(body) if self.field in item]
        for earlier, later in pairwise(times):
            if earlier < later:
                yield Difference(f"the latest {self.field} first", f"{earlier} before {later}")
                return


def shown(value: Any) -> str:
    """Return a value as JSON, cut if it is long."""
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _items(body: Any, where: str = "items") -> list[Mapping[str, Any]]:
    found = body.get(where) if isinstance(body, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _at(body: Any, name: str) -> Any:
    """Return the field of this name, with dots in it; NOTHING if there is none."""
    for step in name.split("."):
        body = body.get(step, NOTHING) if isinstance(body, Mapping) else NOTHING
    return body


def _compared(expected: Any, received: Any, where: str) -> Iterator[Difference]:
    if received is NOTHING:
        yield Difference(f"{where} is {'there' if expected is ANY else shown(expected)}", "nothing")
    elif expected is not ANY and expected != received:
        yield Difference(f"{where} is {shown(expected)}", shown(received))
