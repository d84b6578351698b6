"""What a reply must be beside its form, and in which point one is not."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import orjson

ANY: Any = ...  # stands for any value in what is expected
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
    """The body has these values; of those in `but` it may have others.

    A field of the body itself that is not there at all is no difference: that the form lacks it is told once.
    """

    value: Any
    but: tuple[str, ...] = ()

    def differences(self, body: Any) -> Iterator[Difference]:
        if isinstance(self.value, Mapping) and isinstance(body, Mapping):
            for name in (each for each in self.value if each in body and each not in self.but):
                yield from _compared(self.value[name], body[name], name)
        else:
            yield from _compared(self.value, body, "the reply")


class EachItem(NamedTuple):
    """Every item of a page has these values."""

    values: Mapping[str, Any]

    def differences(self, body: Any) -> Iterator[Difference]:
        for number, item in enumerate(_items(body)):
            for name in self.values.keys() & item.keys():
                yield from _compared(self.values[name], item[name], f"items.{number}.{name}")


class AtMost(NamedTuple):
    """A page has no more than this many items."""

    count: int

    def differences(self, body: Any) -> Iterator[Difference]:
        if len(_items(body)) > self.count:
            yield Difference(f"at most {self.count} item(s)", f"{len(_items(body))} items")


class Lists(NamedTuple):
    """A page has items with these values of a field, and none with those others."""

    field: str
    present: tuple[Any, ...] = ()
    absent: tuple[Any, ...] = ()

    def differences(self, body: Any) -> Iterator[Difference]:
        found = [item.get(self.field) for item in _items(body)]
        for value in self.present:
            if value not in found:
                yield Difference(f"an item with {self.field} {shown(value)}", "none")
        for value in self.absent:
            if value in found:
                yield Difference(f"no item with {self.field} {shown(value)}", "one")


class NewestFirst(NamedTuple):
    """The items of a page are in the order of this time, the latest first."""

    field: str

    def differences(self, body: Any) -> Iterator[Difference]:
        times = [str(item[self.field]) for item in _items(body) if self.field in item]
        for earlier, later in zip(times, times[1:], strict=False):
            if earlier < later:
                yield Difference(f"the latest {self.field} first", f"{earlier} before {later}")
                return


def shown(value: Any) -> str:
    """Return a value as JSON, cut if it is long."""
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _items(body: Any) -> list[Mapping[str, Any]]:
    found = body.get("items") if isinstance(body, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _compared(expected: Any, received: Any, where: str) -> Iterator[Difference]:
    """Yield where two values differ. Of objects in a list only the fields that are expected are looked at."""
    if expected is ANY or expected == received:
        return
    if isinstance(expected, list) and isinstance(received, list) and len(expected) == len(received):
        for number, (wanted, found) in enumerate(zip(expected, received, strict=True)):
            if not (isinstance(wanted, Mapping) and isinstance(found, Mapping)):
                yield from _compared(wanted, found, f"{where}.{number}")
                continue
            for name in wanted.keys() & found.keys():
                yield from _compared(wanted[name], found[name], f"{where}.{number}.{name}")
    elif isinstance(expected, Mapping) and isinstance(received, Mapping):
        nothing = object()
        for name in [*expected, *(each for each in received if each not in expected)]:
            wanted, found = expected.get(name, nothing), received.get(name, nothing)
            if wanted is nothing:
                yield Difference(f"{where}.{name} is not there", f"{shown(found)}")
            elif found is nothing:
                yield Difference(f"{where}.{name} is {_words(wanted)}", "nothing")
            else:
                yield from _compared(wanted, found, f"{where}.{name}")
    else:
        yield Difference(f"{where} is {_words(expected)}", _gist(received))


def _words(value: Any) -> str:
    return "there" if value is ANY else _gist(value)


def _gist(value: Any) -> str:
    if isinstance(value, list) and len(value) > 0 and all(isinstance(item, Mapping) for item in value):
        ids = [next((text for name, text in item.items() if name.endswith("Id")), None) for item in value]
        return f"{len(value)} item(s), {shown(ids)}"
    return shown(value)
