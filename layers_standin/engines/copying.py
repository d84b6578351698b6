"""Copy all documents from one engine to another, in batches, so that a copy can be resumed; compare them at the end.

An unfinished copy has a mark in its target, and no service starts on it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from typing import NamedTuple

import orjson

from layers_standin.engines.errors import Different, NotEmpty
from layers_standin.engines.indexes import Key
from layers_standin.engines.table import Engine

# Shows the progress: (title, number of steps) → a block with a function to call with the number of steps done.
Watch = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]

MARK: Key = ("copies", "", "unfinished")  # present until the copy is finished
_BATCH = 500
_NAMED = 3  # documents of a difference


class Report(NamedTuple):
    """The number of documents of the copy, and the number that this run had to write."""

    documents: int
    written: int


def is_unfinished(engine: Engine) -> bool:
    """Whether an engine holds an unfinished copy."""
    return engine.read(*MARK) is not None


def copy(source: Engine, target: Engine, origin: str, watch: Watch) -> Report:
    """Make the documents of `target` those of `source`, ids in the same order, and compare them all at the end.

    Resumes a copy from the same `origin`: equal documents are not written again, those that the source no longer has
    are deleted. Documents that others write into the source meanwhile may be missing, and then show as a difference.
    Raises NotEmpty before anything is changed; Different, Unavailable.
    """
    _begin(source, target, origin)
    total = sum(source.count(*space) for space in _spaces(source))
    _remove_surplus(source, target)
    with watch("Copying", total) as moved:
        written = sum(_carry(source, target, batch, moved) for batch in _batches(_keys(source)))
    with watch("Checking", total) as checked:
        compare(source, target, checked)
    _write(target, {MARK: None})
    return Report(total, written)


def compare(source: Engine, target: Engine, checked: Callable[[int], object]) -> None:
    """Raises Different with the first table that differs."""
    for table, partition in sorted({*_spaces(source), *_spaces(target)}):
        differing: list[str] = []
        ids = sorted({*source.ids(table, partition), *target.ids(table, partition)})
        for batch in _batches((table, partition, doc_id) for doc_id in ids):
            here, there = _read(source, batch), _read(target, batch)
            differing += (key[2] for key in batch if here[key] != there[key])
            checked(len(batch))
        if differing:
            raise Different(table, partition, differing[:_NAMED], len(differing))


def _begin(source: Engine, target: Engine, origin: str) -> None:
    """Mark the target. Raises NotEmpty when it has documents of its own, or the source is an unfinished copy."""
    if is_unfinished(source):
        raise NotEmpty("The source is a copy that was not finished.")
    mark = target.read(*MARK)
    if mark is None and target.tables():
        raise NotEmpty("Where it should be copied to there are documents already.")
    if mark is not None and orjson.loads(mark)["from"] != origin:
        raise NotEmpty(f"The target has an unfinished copy of {orjson.loads(mark)['from']}.")
    _write(target, {MARK: orjson.dumps({"from": origin})})


def _remove_surplus(source: Engine, target: Engine) -> None:
    for batch in _batches(_keys(target)):
        surplus = [key for key, document in _read(source, batch).items() if document is None]
        _write(target, dict.fromkeys(surplus))


def _carry(source: Engine, target: Engine, keys: Sequence[Key], moved: Callable[[int], object]) -> int:
    """Copy the documents of `keys` in one transaction; return the number that differed."""
    wanted, there = _read(source, keys), _read(target, keys)
    missing = {key: document for key, document in wanted.items() if document != there[key]}
    _write(target, missing)
    moved(len(keys))
    return len(missing)


def _spaces(engine: Engine) -> list[tuple[str, str]]:
    return [space for space in engine.tables() if space != MARK[:2]]


def _keys(engine: Engine) -> Iterator[Key]:
    for table, partition in _spaces(engine):
        for doc_id in engine.ids(table, partition):
            yield table, partition, doc_id


def _batches(keys: Iterable[Key]) -> Iterator[list[Key]]:
    rest = iter(keys)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _read(engine: Engine, keys: Sequence[Key]) -> dict[Key, bytes | None]:
    return dict(zip(keys, engine.read_texts(keys), strict=True))


def _write(engine: Engine, documents: dict[Key, bytes | None]) -> None:
    if documents:
        engine.run_transaction(partial(_write_once, engine, documents))


def _write_once(engine: Engine, documents: dict[Key, bytes | None]) -> None:
    with engine.transaction():
        for key, document in documents.items():
            engine.write(*key, document)
