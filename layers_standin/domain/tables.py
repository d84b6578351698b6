"""For each kind of document: its table, its partition, its id, and its index entries."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from layers_standin.domain import events, posts
from layers_standin.domain.approvals import auto_ms
from layers_standin.domain.ids import canonical, id_of
from layers_standin.domain.schedules import end_ms
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.indexes import IndexEntry, IndexRule
from layers_standin.engines.table import Engine, Record, Table

OK, WILL_FAIL, ARCHIVED, CANCELED = ":ok", ":will_fail", ":archived", ":canceled"

ALL = "*"  # in place of an organization: the settings of all that have none of their own

_FAR_FUTURE_MS = 10**15
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of ULIDs
_DESCENDING = str.maketrans(_DIGITS, _DIGITS[::-1])
_AT_ONCE = 500
INBOX_NAME = re.compile("[0-9A-Za-z_-]{1,64}")
_INBOX = re.compile(f".*/_standin/inbox/({INBOX_NAME.pattern})")


# The field that is a document's id, by table.
PRIMARY_KEYS = {
    "organizations": "id",
    "projects": "id",
    "influencers": "influencerId",
    "assets": "assetId",
    "jobs": "jobId",
    "containers": "id",
    "uploads": "uploadId",
    "posts": "id",
    "social_accounts": "socialAccountId",
    "oauth_states": "state",
    "github_installations": "organizationId",
    "github_states": "state",
    "webhook_endpoints": "id",
    "deliveries": "id",
    "events": "id",
    "inbox": "id",
    "leases": "id",
    "api_keys": "publicId",
    "api_key_ids": "apiKeyId",
    "idempotency": "id",
    "history": "id",
    "controls": "id",
    "rate_limits": "id",
    "secrets": "id",
}
# The field that is a document's partition, where it is not its organization. A key is looked up by its public id before
# its organization is known.
PARTITION_KEYS = {
    "organizations": "id",
    "api_keys": "publicId",
    "controls": "id",
    "secrets": "id",
    "leases": "id",
    "inbox": "name",
}
# Tables whose ids are made here and never come in a request, so that they need no canonical form.
_OWN_IDS = ("history", "idempotency", "rate_limits", "secrets", "events", "leases", "inbox")
NOT_EXPORTED = ("secrets", "rate_limits", "controls", "leases", "inbox")


def identity_of(name: str, record: Mapping[str, Any]) -> tuple[str, str]:
    """Return (partition, id) of a document. Raises KeyError when it lacks one of them."""
    return record[partition_key(name)], canonical(record[PRIMARY_KEYS[name]])


def partition_key(name: str) -> str:
    """Return the field of a table's documents that holds their partition."""
    return PARTITION_KEYS.get(name, "organizationId")


def oldest_first(moment_ms: int, doc_id: str) -> str:
    """Return a sort key with which a descending scan returns the oldest document first."""
    return f"{_FAR_FUTURE_MS - moment_ms:016d}={doc_id}"


def latest_first(moment_ms: int, doc_id: str) -> str:
    """Return a sort key with which a descending scan returns the newest document first."""
    return f"{moment_ms:016d}={doc_id}"


def moment_of(sort_key: str) -> int:
    """Return the milliseconds since 1970 of a sort key made by `oldest_first`."""
    return _FAR_FUTURE_MS - int(sort_key.partition("=")[0])


def _influencer_entries(record: Record) -> list[IndexEntry]:
    """Index entries of an influencer: `<project>:ok` or `<project>:will_fail` by its job's end, newest first.

    `<project>:archived` by the time of its deletion. One index a state, so that a million ids are in memory once.
    """
    project: str = record["projectId"]
    if record["is_archived"]:
        deletion = record["attributes"].get("deletion") or {}
        archived_at = f"{deletion.get('deletedAt', '')}={canonical(record['influencerId'])}"
        return [IndexEntry(project + ARCHIVED, archived_at)]
    schedule = record.get("schedule")
    fails = record["status"] == "failed" if schedule is None else schedule["failure"] or schedule["endedMs"] is not None
    return [IndexEntry(project + (WILL_FAIL if fails else OK), record["sortKey"])]


def _job_entries(record: Record) -> list[IndexEntry]:
    """Index entries of a job: an influencer's is in `running:<project>`, by its end, until `drop_finished` removed it.

    An ingest is in `ingests:<project>:<source>`, newest first, and in `ingested:<project>` by its end if it completes.
    """
    if "ingest" in record:
        project, schedule = record["projectId"], record["schedule"]
        completes = schedule["endedMs"] is None and not schedule["failure"]
        ended = (
            [IndexEntry(ingests_by_end(project), latest_first(end_ms(schedule), record["jobId"]))] if completes else []
        )
        return [IndexEntry(ingests_of_source(project, record["ingest"]["source"]), record["jobId"]), *ended]
    if record.get("isFinished") or "influencerId" not in record:
        return []
    return [IndexEntry(running(record["projectId"]), oldest_first(end_ms(record["schedule"]), record["jobId"]))]


def running(project: str) -> str:
    """Return the index of the running jobs of a project's influencers; a scan returns the first to end first."""
    return f"running:{project}"


def ingests_of_source(project: str, source: str) -> str:
    """Return the index of a project's ingests of a source, newest first."""
    return f"ingests:{project}:{source}"


def ingests_by_end(project: str) -> str:
    """Return the index of a project's ingests that complete; a scan returns the last to end first."""
    return f"ingested:{project}"


def _project_entries(record: Record) -> list[IndexEntry]:
    indexes = ["all", f"status:{record['status']}"]
    if record["customerExternalId"] is not None:
        indexes.append(f"customer:{record['customerExternalId']}")
    entries = [IndexEntry(index, record["sortKey"]) for index in indexes]
    return entries + [IndexEntry("due", oldest_first(each["atMs"], record["id"])) for each in record.get("due", ())[:1]]


def _container_entries(record: Record) -> list[IndexEntry]:
    """Index entries of a container, newest first: `<project>` and its outcome, and these with its format.

    And by a moment: that of its end; that of its automatic approval, if it has one. And those of an influencer; one
    that was begun before its influencer was ready is in the index of those that wait for it too.
    """
    project, schedule, auto = record["projectId"], record["schedule"], auto_ms(record)
    outcome = CANCELED if schedule["endedMs"] is not None else WILL_FAIL if schedule["failure"] else OK
    entries = [
        IndexEntry(project + outcome, record["sortKey"]),
        IndexEntry(f"{project}{outcome}:{record['format']}", record["sortKey"]),
        IndexEntry(ends(project), oldest_first(end_ms(schedule), record["id"])),
    ]
    if auto is not None:
        entries.append(IndexEntry(approvals(project), oldest_first(auto, record["id"])))
    if record["influencerId"] is not None:
        entries.append(IndexEntry(with_influencer(record["influencerId"]), record["sortKey"]))
    if "schedule" in (record["influencer"] or {}):
        entries.append(IndexEntry(awaited(record["influencerId"]), record["sortKey"]))
    return entries


def ends(project: str) -> str:
    """Return the index of a project's containers by the end of their jobs; a scan returns the first to end first."""
    return f"{project}:ends"


def approvals(project: str) -> str:
    """Return the index of a project's containers by the moment at which they are approved by themselves."""
    return f"{project}:approvals"


def with_influencer(influencer_id: str) -> str:
    """Return the index of the containers that an influencer is in, living or not."""
    return f"influencer:{canonical(influencer_id)}"


def awaited(influencer_id: str) -> str:
    """Return the index of the containers that were begun before their influencer was ready."""
    return f"awaited:{canonical(influencer_id)}"


def _upload_entries(record: Record) -> list[IndexEntry]:
    return [] if record["finalized"] else [IndexEntry("age", oldest_first(record["createdMs"], record["uploadId"]))]


def _idempotency_entries(record: Record) -> list[IndexEntry]:
    return [IndexEntry("age", oldest_first(record["filedAtMs"], record["id"]))]


def _social_account_entries(record: Record) -> list[IndexEntry]:
    """Index entries of a social account: `<project>`, and one that holds the account of its handle alone."""
    handle = handle_index(record["projectId"], record["platform"], record["handle"])
    return [IndexEntry(index, record["sortKey"]) for index in (record["projectId"], handle)]


def handle_index(project: str, platform: str, handle: str) -> str:
    """Return the index of the account that a project has on a platform under a handle."""
    return f"{project}:{platform}:{handle}"


def _oauth_state_entries(record: Record) -> list[IndexEntry]:
    return [IndexEntry("age", oldest_first(record["createdMs"], record["state"]))]


def _endpoint_entries(record: Record) -> list[IndexEntry]:
    """Index entries of a webhook endpoint: by its project or `all`, with its status; an active one by each type too."""
    groups = ["all"] if record["projectId"] is None else ["all", f"project:{canonical(record['projectId'])}"]
    names = [f"{group}:{record['status']}" for group in groups]
    if (inbox := inbox_of(record["url"])) is not None:
        names.append(f"inbox:{inbox}")
    if record["status"] == "active":
        names += map(listening, record["events"])
    return [IndexEntry(name, record["sortKey"]) for name in names]


def inbox_of(url: str) -> str | None:
    """Return the name of the inbox that a URL leads to, or None."""
    found = _INBOX.fullmatch(urlsplit(url).path)
    return None if found is None else found[1]


def listening(event_type: str) -> str:
    """Return the index of the active endpoints that are subscribed to a type of events."""
    return f"listen:{event_type}"


def _delivery_entries(record: Record) -> list[IndexEntry]:
    """Index entries of a delivery: its endpoint's, by status, and by type; until it has ended `due`, then `ended`."""
    group = f"{record['endpointId']}:{record['status']}"
    names = (group, f"{group}:{record['event']['type']}")
    entries = [IndexEntry(name, record["sortKey"]) for name in names]
    if record["status"] in ("pending", "delivering") and not record["isHeld"]:
        entries.append(IndexEntry("due", _due_key(record)))
        if "wasDueMs" in record:
            entries.append(IndexEntry(postponed(record["endpointId"]), record["sortKey"]))
    if record["status"] not in ("pending", "delivering"):
        entries.append(IndexEntry("ended", oldest_first(record["createdMs"], record["id"])))
    return entries


def postponed(endpoint_id: str) -> str:
    """Return the index of the deliveries to an endpoint that wait for the next one."""
    return f"postponed:{endpoint_id}"


def _due_key(delivery: Record) -> str:
    """Return a sort key with which a descending scan returns the first due first, of one moment the first event."""
    order = delivery["event"]["id"][-26:].translate(_DESCENDING)
    return oldest_first(delivery["dueMs"], f"{order}:{delivery['endpointId']}={delivery['id']}")


def endpoint_of(due_key: str) -> str:
    """Return the id of the endpoint in a sort key of the index `due`."""
    return due_key.rpartition("=")[0].rpartition(":")[2]


def _inbox_entries(record: Record) -> list[IndexEntry]:
    return [IndexEntry("all", record["id"])]


def _event_entries(table: str, rule: IndexRule) -> IndexRule:
    """Return an index rule that adds, for a document with pending events, `events` by the first one's moment."""

    def entries(record: Record) -> list[IndexEntry]:
        moments = [at for at in events.moments_of(table, record).values() if at is not None]
        own = rule(record)
        if not moments:
            return own
        return [*own, IndexEntry("events", oldest_first(min(moments), canonical(record[PRIMARY_KEYS[table]])))]

    return entries


def _no_entries(_: Record) -> list[IndexEntry]:
    return []


INDEXES: dict[str, IndexRule] = {
    "influencers": _influencer_entries,
    "jobs": _job_entries,
    "projects": _project_entries,
    "containers": _container_entries,
    "uploads": _upload_entries,
    "idempotency": _idempotency_entries,
    "posts": posts.index_entries,
    "social_accounts": _social_account_entries,
    "oauth_states": _oauth_state_entries,
    "github_states": _oauth_state_entries,
    "webhook_endpoints": _endpoint_entries,
    "deliveries": _delivery_entries,
    "inbox": _inbox_entries,
}
INDEXES |= {table: _event_entries(table, INDEXES.get(table, _no_entries)) for table in events.SOURCES}


class Page(NamedTuple):
    """Documents of an index in order, and the sort key to continue from, None at the end."""

    documents: list[Record]
    next_sort_key: str | None


def newest_page(documents: Iterable[Record], before: str | None, limit: int) -> Page:
    """Return up to `limit` of these documents in descending order of `sortKey`, which is below `before`, if given."""
    found = [document for document in documents if before is None or document["sortKey"] < before]
    found.sort(key=lambda document: str(document["sortKey"]), reverse=True)
    return Page(found[:limit], found[limit - 1]["sortKey"] if len(found) > limit else None)


@lru_cache(1024)  # they hold no state, and each request asks for a handful
def _table(db: Hashable, name: str, partition: str) -> Table:
    id_class = str if name in _OWN_IDS else canonical
    return Table(cast(Engine, db), name, partition, PRIMARY_KEYS[name], id_class)


class Tables:
    """The tables of one organization, on any engine, with its clock `now`.

    The partition of a table in PARTITION_KEYS is that field of its documents, that of any other is the organization.
    """

    def __init__(self, db: Engine, now: Callable[[], datetime], organization: str = "") -> None:
        self.db = db
        self.now = now
        self.organization = organization

    @cached_property
    def has_listeners(self) -> bool:
        """Whether the organization has an active webhook endpoint, so that events are kept."""
        return bool(self.db.scan("webhook_endpoints", self.organization, "all:active"))

    def pending(self, *names: str) -> Record:
        """Return the field of a new document that has these events before it; none where nobody listens."""
        return events.pending(*names) if self.has_listeners else {}

    def with_pending(self, document: Record, *names: str) -> Record:
        """Return the document with these events before it; as it is where nobody listens."""
        return events.with_pending(document, *names) if self.has_listeners else document

    def file_event(self, kind: str, data: Record, project_id: str | None) -> None:
        """File an event that a request causes, in its transaction."""
        if self.has_listeners:
            event = events.new_event(self.organization, project_id, kind, data, epoch_milliseconds(self.now()))
            self.table("events").insert(event)

    def table(self, name: str, partition: str | None = None) -> Table:
        """Return the table `name` of a partition, by default the organization."""
        return _table(cast(Hashable, self.db), name, self.organization if partition is None else partition)

    def put(self, name: str, record: Mapping[str, Any]) -> None:
        """Insert or replace any document of any organization, as seeds and imports do."""
        partition = record[partition_key(name)]
        self.table(name, partition).upsert(record)

    def page(
        self,
        name: str,
        indexes: Sequence[str],
        before: str | None,
        limit: int,
        keep: Callable[[Record], bool],
        floor: str = "",
    ) -> Page:
        """Return up to `limit` documents of some indexes, merged in descending order of sort key.

        The sort keys are from `floor` on, and below `before`, if given; documents for which `keep(document)` is false
        are left out.
        """
        found: list[tuple[str, Record]] = []
        for sort_key, document in self._walk(name, indexes, before, limit):
            if sort_key < floor:
                break
            if not keep(document):
                continue
            if len(found) == limit:
                return Page([kept for _, kept in found], found[-1][0])
            found.append((sort_key, document))
        return Page([kept for _, kept in found], None)

    def all(self, name: str, ids: Iterable[str]) -> Iterator[Record]:
        """Yield the existing documents among these ids, fetched in batches."""
        rest = iter(ids)
        while some := list(islice(rest, _AT_ONCE)):
            found = self.db.read_many([(name, self.organization, doc_id) for doc_id in some])
            yield from (document for document in found if document is not None)

    def oldest(self, name: str, before_ms: int, index: str = "age", limit: int = 2) -> list[str]:
        """Return the ids of up to `limit` documents, oldest first, not later than `before_ms` since 1970.

        The sort keys of the index are made by `oldest_first`.
        """
        return self.oldest_between(name, None, before_ms, index, limit)

    def oldest_between(self, name: str, after: str | None, before_ms: int, index: str, limit: int) -> list[str]:
        """Return the same, of those behind the sort key `after`."""
        sort_keys = self.db.scan(name, self.organization, index, after, limit)
        return [id_of(sort_key) for sort_key in sort_keys if moment_of(sort_key) <= before_ms]

    def _walk(self, name: str, indexes: Sequence[str], before: str | None, limit: int) -> Iterator[tuple[str, Record]]:
        while found := self.db.scan_documents(name, self.organization, indexes, before, limit + 1):
            yield from ((sort_key, document) for sort_key, document in found if document is not None)
            if len(found) <= limit:
                return
            before = found[-1][0]
