"""Where each kind of document lives: its table, its partition, its id, and its places in ordered lists."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple, cast

import orjson

from engines.indexes import Entry, Key, Lists
from engines.table import Engine, Record
from records.ids import canonical, id_at
from records.jobs import end_ms, is_doomed

Identity = Callable[[Mapping[str, Any]], tuple[str, str]]

FINE, DOOMED, ARCHIVED = ":fine", ":doomed", ":archived"

ALL = "*"  # instead of an organization: what is set for every one that has nothing of its own

_FAR_FUTURE_MS = 10**15


def _of_organization(field: str) -> Identity:
    return lambda document: (document["organizationId"], canonical(document[field]))


# (partition, id) by table. What belongs to an organization has it as its partition.
IDENTITIES: dict[str, Identity] = {
    "organizations": lambda document: (document["id"], document["id"]),
    "projects": _of_organization("id"),
    "influencers": _of_organization("influencerId"),
    "assets": _of_organization("assetId"),
    "jobs": _of_organization("jobId"),
    "uploads": _of_organization("uploadId"),
    # A key is looked up before its organization is known, so its public id is its partition.
    "api_keys": lambda document: (document["publicId"], document["publicId"]),
    "api_key_ids": _of_organization("apiKeyId"),
    "idempotency": _of_organization("id"),
    "history": _of_organization("id"),
    "controls": lambda document: (document["id"], document["id"]),
    "rate_limits": lambda document: (document["id"], document["id"]),
    "secrets": lambda document: (document["id"], document["id"]),
}
NOT_EXPORTED = ("secrets", "rate_limits", "controls")


def _known(key: Key) -> Key:
    table, partition, doc_id = key
    return table, partition, canonical(doc_id)


def oldest_first(moment_ms: int, doc_id: str) -> str:
    """Return a place so that a walk from the greatest down meets the oldest first."""
    return f"{_FAR_FUTURE_MS - moment_ms:016d}={doc_id}"


def moment_at(place: str) -> int:
    """Return the moment of a place made by `oldest_first`."""
    return _FAR_FUTURE_MS - int(place.partition("=")[0])


def _influencer_places(document: bytes) -> Iterator[Entry]:
    """Living influencers, by project: those whose job goes well, and those whose job does not.

    In one list each, not in one of all too: a million of them should not be in memory twice. The others stand in a
    list of their own, by when they were archived.
    """
    record = orjson.loads(document)
    if record["is_archived"]:
        deletion = record["attributes"].get("deletion") or {}
        archived_at = f"{deletion.get('deletedAt', '')}={canonical(record['influencerId'])}"
        yield Entry(record["projectId"] + ARCHIVED, archived_at)
    else:
        yield Entry(record["projectId"] + (DOOMED if is_doomed(record) else FINE), record["place"])


def _job_places(document: bytes) -> Iterator[Entry]:
    """Jobs by project and end, until they are over and somebody has noticed."""
    record = orjson.loads(document)
    if not record.get("isSettled"):
        yield Entry(running(record["projectId"]), oldest_first(end_ms(record["course"]), record["jobId"]))


def running(project: str) -> str:
    """Return the name of the list of a project's jobs that may still run, the one that ends first last."""
    return f"running:{project}"


def _project_places(document: bytes) -> Iterator[Entry]:
    record = orjson.loads(document)
    yield Entry("all", record["place"])
    yield Entry(f"status:{record['status']}", record["place"])
    if record["customerExternalId"] is not None:
        yield Entry(f"customer:{record['customerExternalId']}", record["place"])


def _upload_places(document: bytes) -> Iterator[Entry]:
    record = orjson.loads(document)
    if not record["finalized"]:
        yield Entry("age", oldest_first(record["createdMs"], record["uploadId"]))


def _idempotency_places(document: bytes) -> Iterator[Entry]:
    record = orjson.loads(document)
    yield Entry("age", oldest_first(record["filedAtMs"], record["id"]))


LISTS: dict[str, Lists] = {
    "influencers": _influencer_places,
    "jobs": _job_places,
    "projects": _project_places,
    "uploads": _upload_places,
    "idempotency": _idempotency_places,
}


class Page(NamedTuple):
    """Some documents of a list, and the place to go on from, None at its end."""

    documents: list[Record]
    next_place: str | None


class Tables:
    """Documents by table and identity, on any engine, and the clock that everything here goes by."""

    def __init__(self, db: Engine, now: Callable[[], datetime]) -> None:
        self.db = db
        self.now = now

    def transaction(self) -> AbstractContextManager[None]:
        return self.db.transaction()

    def get(self, table: str, partition: str, doc_id: str) -> Record | None:
        document = self.db.read(table, partition, canonical(doc_id))
        return None if document is None else cast(Record, orjson.loads(document))

    def glance(self, table: str, partition: str, doc_id: str) -> Record | None:
        """Return a document that the transaction does not depend on staying as it is."""
        document = self.db.glance(table, partition, canonical(doc_id))
        return None if document is None else cast(Record, orjson.loads(document))

    def expect(self, *wanted: Key, glanced: Iterable[Key] = ()) -> None:
        """Tell the engine which (table, partition, id)s are about to be read, and glanced at."""
        self.db.expect([_known(each) for each in wanted], [_known(each) for each in glanced])

    def put(self, table: str, document: Record) -> None:
        """Put a document in its place, whatever was there before."""
        partition, doc_id = IDENTITIES[table](document)
        self.db.table(table, partition).put(doc_id, document)

    def drop(self, table: str, partition: str, doc_id: str) -> None:
        self.db.table(table, partition).drop(canonical(doc_id))

    def page(
        self,
        table: str,
        partition: str,
        groups: Sequence[str],
        before: str | None,
        limit: int,
        keep: Callable[[Record], bool],
    ) -> Page:
        """Return up to `limit` documents of some lists that `keep` keeps, newest first, from below a place."""
        found: list[tuple[str, Record]] = []
        for place, document in self._walk(table, partition, groups, before, limit):
            if not keep(document):
                continue
            if len(found) == limit:
                return Page([kept for _, kept in found], found[-1][0])
            found.append((place, document))
        return Page([kept for _, kept in found], None)

    def oldest(self, table: str, partition: str, before_ms: int, group: str = "age", most: int = 2) -> list[str]:
        """Return the ids of up to `most` documents up to a moment, of a list that has the oldest first."""
        places = self.db.walk(table, partition, group, most=most)
        return [id_at(place) for place in places if moment_at(place) <= before_ms]

    def _walk(
        self, table: str, partition: str, groups: Sequence[str], before: str | None, limit: int
    ) -> Iterator[tuple[str, Record]]:
        while places := self._places(table, partition, groups, before, limit + 1):
            self.expect(*((table, partition, id_at(place)) for place in places))
            for place in places:
                document = self.get(table, partition, id_at(place))
                if document is not None:
                    yield place, document
            before = places[-1]

    def _places(self, table: str, partition: str, groups: Sequence[str], before: str | None, most: int) -> list[str]:
        """Return the greatest places of some lists together, greatest first."""
        walks = [self.db.walk(table, partition, group, before, most) for group in groups]
        return walks[0] if len(walks) == 1 else list(islice(merge(*walks, reverse=True), most))
