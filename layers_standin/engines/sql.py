"""The statements that both databases understand, written once.

`:name` stands for a parameter and `@` for the prefix of the table names. Each statement about documents carries the
organization that they belong to, and none joins two: so the tables can be distributed by it. Only those that list the
organizations themselves go over all of them.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

from layers_standin.engines.indexes import IndexEntry, Key

Sent = tuple[str, Mapping[str, Any]]  # a statement and its parameters

_DOCUMENT = "organization, kind, id, inserted_ns, document"
_ENTRY = "organization, kind, index_name, sort_key, id"
_ONE = "organization = :organization AND kind = :kind AND id = :id"
_INDEX = "organization = :organization AND kind = :kind AND index_name = :index"
_FOUND = "FROM @documents WHERE organization = found.organization AND kind = :kind"
_NEXT = "FROM @documents {} ORDER BY organization, kind LIMIT 1"
_BEHIND = _NEXT.format("WHERE (organization, kind) > (found.organization, found.kind)")
_FIRST = _NEXT.format("")
_SPACES = (
    f"WITH RECURSIVE found AS (SELECT (SELECT kind {_FIRST}) AS kind, (SELECT organization {_FIRST}) AS organization "
    f"UNION ALL SELECT (SELECT kind {_BEHIND}), (SELECT organization {_BEHIND}) "
    "FROM found WHERE found.organization IS NOT NULL) "
    "SELECT kind, organization FROM found WHERE organization IS NOT NULL"
)
_SNAPSHOT = "organization = :organization AND snapshot = :snapshot"


class _InsertionTimes:
    """Nanoseconds that rise with the clock, no two of a process the same: by them the ids of a table are in order."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> int:
        self._last = max(self._last + 1, time.time_ns())
        return self._last


_inserted_ns = _InsertionTimes()


class Statements:
    """The shared statements in the dialect of one database.

    `parameter` is the replacement for `:name` as `re.sub` takes it; `prefix` begins every table name; `json_text` is
    the expression that turns the column `document` into text; `escape` returns a name as the database can hold it, and
    `unescape` the name that it was.
    """

    def __init__(
        self,
        prefix: str = "",
        parameter: str = r":\1",
        json_text: str = "document",
        escape: Callable[[str], str] = str,
        unescape: Callable[[str], str] = str,
    ) -> None:
        def of(text: str) -> str:
            return re.sub(r":(\w+)", parameter, text).replace("@", prefix)

        self.escape, self.unescape = escape, unescape

        # Documents.
        self.find = of(f"SELECT document FROM @documents WHERE {_ONE}")
        self.ids = of(
            "SELECT id FROM @documents WHERE organization = :organization AND kind = :kind ORDER BY inserted_ns, id"
        )
        self.count = of("SELECT count(*) FROM @documents WHERE organization = :organization AND kind = :kind")
        self.insert = of(
            f"INSERT INTO @documents ({_DOCUMENT}) VALUES (:organization, :kind, :id, :inserted, :document)"
        )
        self.update = of(f"UPDATE @documents SET document = :document WHERE {_ONE}")
        self.upsert = self.insert + " ON CONFLICT (organization, kind, id) DO UPDATE SET document = excluded.document"
        self.delete = of(f"DELETE FROM @documents WHERE {_ONE}")

        # Index entries.
        scan = "SELECT sort_key FROM @index_entries WHERE {} ORDER BY sort_key DESC LIMIT :limit"
        self.scan = of(scan.format(_INDEX))
        self.scan_below = of(scan.format(f"{_INDEX} AND sort_key < :before"))
        self.scan_documents = cache(partial(_scan_documents, of))
        self.add_entry = of(
            f"INSERT INTO @index_entries ({_ENTRY}) VALUES (:organization, :kind, :index, :sort_key, :id) "
            "ON CONFLICT DO NOTHING"
        )
        self.remove_entry = of(f"DELETE FROM @index_entries WHERE {_INDEX} AND sort_key = :sort_key AND id = :id")

        # From each value to the next one in the primary key: the number of documents does not matter.
        self.organizations = of(_of_each_organization("organization"))
        self.snapshot_organizations = of(_of_each_organization("organization", "@snapshot_documents"))
        self.spaces = of(_SPACES)
        # Subqueries, not a join: so a planner that knows little of the tables looks into the primary key all the same.
        self.find_each = of(_of_each_organization(f"(SELECT document {_FOUND} AND id = :id)"))
        self.find_each_first = of(_of_each_organization(f"(SELECT document {_FOUND} ORDER BY id LIMIT 1)"))
        self.count_all = partial(_count_all, of)

        # All documents of an organization, and its index entries.
        self.clear = _pair(of, "DELETE FROM @{} WHERE organization = :organization")
        self.save = _pair(
            of,
            "INSERT INTO @snapshot_{0} (snapshot, {1}) SELECT :snapshot, {1} FROM @{0} "
            "WHERE organization = :organization",
        )
        self.restore = _pair(of, f"INSERT INTO @{{0}} ({{1}}) SELECT {{1}} FROM @snapshot_{{0}} WHERE {_SNAPSHOT}")
        self.delete_saved = _pair(of, f"DELETE FROM @snapshot_{{0}} WHERE {_SNAPSHOT}")
        self.snapshot_size = of(
            f"SELECT count(*), coalesce(sum(octet_length({json_text})), 0) FROM @snapshot_documents WHERE {_SNAPSHOT}"
        )

        # Of no organization.
        self.snapshots = of("SELECT name, facts FROM @snapshots ORDER BY name")
        self.insert_snapshot = of("INSERT INTO @snapshots (name, facts) VALUES (:name, :facts)")
        self.rename_snapshot = of("UPDATE @snapshots SET name = :published WHERE name = :name")
        self.delete_snapshot = of("DELETE FROM @snapshots WHERE name = :name")
        self.facts = of("SELECT name, fact FROM @facts")
        self.note_fact = of(
            "INSERT INTO @facts (name, fact) VALUES (:name, :fact) "
            "ON CONFLICT (name) DO UPDATE SET fact = excluded.fact"
        )
        # There and back: SQLite writes nothing where one update leaves a row as it was.
        self.probe = tuple(
            of(f"UPDATE @facts SET fact = {fact} WHERE name = 'format'") for fact in ("fact || ' '", "rtrim(fact)")
        )

    # Parameters, and the statements of a document's index entries.

    def of(self, key: Key) -> dict[str, Any]:
        escape = self.escape
        return {"organization": escape(key[1]), "kind": escape(key[0]), "id": escape(key[2])}

    def of_table(self, table: str, partition: str) -> dict[str, Any]:
        return {"organization": self.escape(partition), "kind": self.escape(table)}

    def of_new(self, key: Key, document: bytes) -> dict[str, Any]:
        return self.of(key) | {"inserted": _inserted_ns(), "document": document.decode()}

    def replace_entries(self, key: Key, old: Sequence[IndexEntry], new: Sequence[IndexEntry]) -> Iterator[Sent]:
        """Yield the statements that replace the index entries `old` of a document by `new`."""
        for statement, entries, but in ((self.remove_entry, old, new), (self.add_entry, new, old)):
            for entry in entries:
                if entry not in but:
                    index, sort_key = map(self.escape, entry)
                    yield statement, self.of(key) | {"index": index, "sort_key": sort_key}


def create(prefix: str, text: str, json: str, index_table: str = "") -> list[str]:
    """Return the statements that make the tables: column types as given, `index_table` behind those of entries."""
    document = f"organization {text}, kind {text}, id {text}, inserted_ns bigint NOT NULL, document {json}"
    entry = f"organization {text}, kind {text}, index_name {text}, sort_key {text}, id {text}"
    tables = [
        (f"facts (name {text}, fact {text}, PRIMARY KEY (name))", ""),
        (f"documents ({document}, PRIMARY KEY (organization, kind, id))", ""),
        (f"index_entries ({entry}, PRIMARY KEY ({_ENTRY}))", index_table),
        (f"snapshots (name {text}, facts {text}, PRIMARY KEY (name))", ""),
        (f"snapshot_documents (snapshot {text}, {document}, PRIMARY KEY (organization, snapshot, kind, id))", ""),
        (
            f"snapshot_index_entries (snapshot {text}, {entry}, "
            "PRIMARY KEY (organization, snapshot, kind, index_name, sort_key, id))",
            index_table,
        ),
    ]
    return [f"CREATE TABLE IF NOT EXISTS {prefix}{table}{options}" for table, options in tables]


def _pair(of: Callable[[str], str], text: str) -> tuple[str, str]:
    return of(text.format("documents", _DOCUMENT)), of(text.format("index_entries", _ENTRY))


def _of_each_organization(selected: str, table: str = "@documents") -> str:
    """Return the statement that selects something of each organization that has a row in a table."""
    return (
        f"WITH RECURSIVE found AS (SELECT min(organization) AS organization FROM {table} UNION ALL "
        f"SELECT (SELECT min(organization) FROM {table} WHERE organization > found.organization) "
        f"FROM found WHERE found.organization IS NOT NULL) SELECT {selected} FROM found WHERE organization IS NOT NULL"
    )


def _scan_documents(of: Callable[[str], str], number: int, is_below: bool) -> str:
    """Return the statement that scans `number` indexes, the parameters :index0, :index1 and so on, with the documents.

    Each index gives up to :limit entries, below :before with `is_below`; the documents are looked up for the greatest.
    """
    below = " AND sort_key < :before" if is_below else ""
    entries = (
        "SELECT * FROM (SELECT sort_key, id FROM @index_entries WHERE organization = :organization AND kind = :kind "
        f"AND index_name = :index{each}{below} ORDER BY sort_key DESC LIMIT :limit) AS entries{each}"
        for each in range(number)
    )
    one = "WHERE organization = :organization AND kind = :kind AND id = found.id"
    return of(
        f"SELECT sort_key, (SELECT document FROM @documents {one}) FROM (SELECT * FROM ({' UNION ALL '.join(entries)}) "
        "AS entries ORDER BY sort_key DESC LIMIT :limit) AS found ORDER BY sort_key DESC"
    )


def _count_all(of: Callable[[str], str], number: int) -> str:
    """Return the statement that counts the documents of `number` tables, the parameters :kind0, :kind1 and so on."""
    counts = (f"coalesce(sum((SELECT count(*) {_FOUND}{each})), 0)" for each in range(number))
    return of(_of_each_organization(", ".join(counts)))
