"""Verify that a store's database holds the documents that were written: reads everything, and changes nothing.

Documents and index entries are read one by one, so the memory for this does not grow with their number.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import apsw
import orjson

from layers_standin.engines.copying import MARK as UNFINISHED_COPY
from layers_standin.engines.errors import Unavailable
from layers_standin.engines.indexes import IndexEntry, IndexRule, index_entries
from layers_standin.engines.snapshots import HIDDEN
from layers_standin.engines.sqlite.connections import CHECKSUM_VFS, load_checksums
from layers_standin.engines.sqlite.files import DATABASE, check_folder, facts_of, marked_for, refuse_other
from layers_standin.engines.sqlite.wal import has_lost_commits_in, pages_in

# (partition, id) of a document, by its own fields.
Identity = Callable[[Mapping[str, Any]], tuple[str, str]]
# (id of a snapshot or "", table, document) → the fault of the bytes that the document tells of, or None.
Look = Callable[[str, str, Mapping[str, Any]], str | None]

_PATIENCE_MS = 3000
_MAX_PAGES = 100
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"

_RESTORE = "Put a copy of the whole data folder in its place, or set STANDIN_DATA to a new folder."
_COPY = (
    "`layers-stand-in store copy` into a new folder makes the index entries anew; its folder media is to be copied too."
)
_PICTURES = "Put the missing and damaged pictures back from a copy of the data folder."
_SNAPSHOTS = "Delete the snapshot, and save it anew."
_FINISH = "Run `layers-stand-in store copy` once more, to its end."

# The errors of rules that read a document whose fields are missing or of another type.
_MISSHAPEN = (ValueError, LookupError, TypeError, AttributeError)


class Fault(NamedTuple):
    """A difference from the stored state: its location, the evidence, and the remedy as a sentence."""

    location: str
    evidence: str
    remedy: str


class Key(NamedTuple):
    """The key of a document in the database; `snapshot` is "" for a served one."""

    snapshot: str
    table: str
    organization: str
    id: str


@dataclass
class Report:
    """The numbers of documents, entries, snapshots and pages read so far."""

    pages: int = 0
    documents: int = 0
    entries: int = 0
    snapshots: int = 0


@dataclass
class Rules:
    """The rules that documents are checked against, and the report."""

    identities: Mapping[str, Identity]
    indexes: Mapping[str, IndexRule]
    look: Look
    report: Report = field(default_factory=Report)


def faults(folder: Path, rules: Rules) -> Iterator[Fault]:
    """Yield every fault of the store in a folder.

    Raises OSError, Unavailable when its files cannot be opened; Misplaced, Damaged, UnknownFormat.
    """
    check_folder(folder)
    database = folder / DATABASE
    # The file is closed last: a process that closes a file loses its locks on it, those of SQLite too.
    with database.open("rb") as file, closing(_first_opened(database)) as connection:
        yield from _page_faults(database, file, rules.report)
        try:
            refuse_other(facts_of(connection, database), marked_for(folder), database)
            yield from _structure_faults(connection, database)
            yield from _Documents(connection, database, rules).faults()
        except apsw.Error as error:
            yield Fault(str(database), f"it cannot be read to its end ({_text_of(error)})", _RESTORE)


def _first_opened(database: Path) -> apsw.Connection:
    try:
        return open_unchanged(database)
    except apsw.Error as error:
        raise Unavailable(
            f"The database {database} cannot be opened ({_text_of(error)}): beside it lie changes that only a process "
            "which may write can read; copy the whole folder to a place that can be written, and verify the copy."
        ) from error


def open_unchanged(database: Path) -> apsw.Connection:
    """Return a connection that writes nothing, in a transaction that sees one state to its end.

    Raises apsw.CantOpenError, also when a log beside the database can only be read by a process that may write.
    """
    load_checksums()
    try:
        return _open(database, "mode=ro")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        log = _log_of(database)
        if not database.is_file() or (log.is_file() and log.stat().st_size > 0):
            raise
        return _open(database, "immutable=1")  # no process can write it here, or it would be open by now


def _open(database: Path, how: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"{database.absolute().as_uri()}?{how}", flags=flags, vfs=CHECKSUM_VFS)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.set_busy_timeout(_PATIENCE_MS)
        connection.execute("BEGIN")
        with suppress(apsw.IOError, apsw.CorruptError, apsw.NotADBError):  # each reported by its own check
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


def _text_of(error: Exception) -> str:
    return str(error) or type(error).__name__


# The files


def _page_faults(database: Path, file: BinaryIO, report: Report) -> Iterator[Fault]:
    """Check the checksum of each page of the file: SQLite itself stops at the first damaged one."""
    header = file.read(_HEADER_BYTES)
    file.seek(0)
    page_bytes = int.from_bytes(header[16:18], "big")
    page_bytes = 65536 if page_bytes == 1 else page_bytes
    if not header.startswith(_MAGIC) or page_bytes < 512 or page_bytes & (page_bytes - 1):
        yield Fault(str(database), "it does not begin like a database", _RESTORE)
        return
    # The log's copy of a page is the one that counts, and a checkpoint may be writing just this page.
    logged = pages_in(_log_of(database), page_bytes)
    damaged = list(islice(_damaged_pages(file, page_bytes, logged, report), _MAX_PAGES + 1))
    owners = _owners_of(database, damaged)
    for number in damaged[:_MAX_PAGES]:
        first = (number - 1) * page_bytes
        location = f"{database}, page {number}{owners.get(number, '')}, bytes {first} to {first + page_bytes - 1}"
        yield Fault(location, "they do not match their checksum", _RESTORE)
    if len(damaged) > _MAX_PAGES:
        yield Fault(str(database), "more pages than these do not match their checksums", _RESTORE)
    if has_lost_commits_in(_log_of(database), page_bytes):
        yield Fault(str(_log_of(database)), "acknowledged changes stand behind bytes that are not whole", _RESTORE)


def _damaged_pages(file: BinaryIO, page_bytes: int, logged: set[int], report: Report) -> Iterator[int]:
    # The function comes with the checksum VFS to every connection, also to one of no file.
    with closing(apsw.Connection(":memory:")) as memory:
        while page := file.read(page_bytes):
            report.pages += 1
            if report.pages not in logged and memory.execute("SELECT verify_checksum(?)", (page,)).fetchall() != [(1,)]:
                yield report.pages


def _owners_of(database: Path, pages: list[int]) -> dict[int, str]:
    """Return the table or index of each of these pages, if that can be found out."""
    found: dict[int, str] = {}
    if pages:
        with suppress(apsw.Error), closing(open_unchanged(database)) as connection:
            connection.pragma("checksum_verification", False)
            for name, number in connection.execute("SELECT name, pageno FROM dbstat"):
                if number in pages:
                    found[number] = f" of {name}"
    return found


def _structure_faults(connection: apsw.Connection, database: Path) -> Iterator[Fault]:
    try:
        for (message,) in connection.execute("PRAGMA integrity_check"):
            if message != "ok":
                yield Fault(str(database), message.replace("\n", "; "), _RESTORE)
    except apsw.Error as error:
        yield Fault(str(database), f"SQLite's own check comes to no end ({_text_of(error)})", _RESTORE)


# The documents


# Those served, with "" for a snapshot, and those of the snapshots.
_DOCUMENTS = "(SELECT '' AS snapshot, * FROM documents UNION ALL SELECT * FROM snapshot_documents)"
_ENTRIES = "(SELECT '' AS snapshot, * FROM index_entries UNION ALL SELECT * FROM snapshot_index_entries)"
# Of an index alone, or the first damaged document would be the last one looked at.
_KEYS = (
    "SELECT '', kind, organization, id FROM documents "
    "UNION ALL SELECT snapshot, kind, organization, id FROM snapshot_documents"
)
_KEY = "snapshot = ? AND kind = ? AND organization = ? AND id = ?"


class _Documents:
    """The served documents and index entries, and those of the snapshots."""

    def __init__(self, connection: apsw.Connection, database: Path, rules: Rules) -> None:
        self._connection, self._database, self._rules = connection, database, rules
        self._snapshots: dict[str, str] = {}  # names by id
        self._wanted: dict[str, int] = {}  # the number of documents by a snapshot's id
        self._counts: Counter[str] = Counter()
        self._found = 0  # index entries that belong to a document

    def faults(self) -> Iterator[Fault]:
        yield from self._snapshot_faults()
        for row in self._connection.execute(_KEYS):
            yield from self._document_faults(Key(*row))
        ((entries,),) = self._connection.execute(f"SELECT count(*) FROM {_ENTRIES}").fetchall()
        self._rules.report.entries = cast(int, entries)
        if self._rules.report.entries != self._found:
            yield from self._stray_entries()
        for snapshot, number in self._wanted.items():
            if (there := self._counts[snapshot]) != number:
                location = f"{self._database}, snapshot {self._snapshots[snapshot]}"
                yield Fault(location, f"it has {there} documents instead of {number}", _SNAPSHOTS)

    def _snapshot_faults(self) -> Iterator[Fault]:
        for name, text in self._connection.execute("SELECT name, facts FROM snapshots"):
            try:
                facts = orjson.loads(text)
                self._wanted[facts["id"]] = int(facts["documents"])
                self._snapshots[facts["id"]] = name
                self._rules.report.snapshots += not name.startswith(HIDDEN)
            except _MISSHAPEN as error:
                yield Fault(f"{self._database}, snapshot {name}", f"its facts are damaged ({error!r})", _SNAPSHOTS)

    def _document_faults(self, key: Key) -> Iterator[Fault]:
        self._rules.report.documents += 1
        self._counts[key.snapshot] += 1
        if key.snapshot and key.snapshot not in self._snapshots:
            self._snapshots[key.snapshot] = key.snapshot  # reported once
            yield Fault(f"{self._database}, snapshot {key.snapshot}", "nothing is told of it", _RESTORE)
        try:
            document = _find(self._connection, key) or b""
            record = orjson.loads(document)
            if not isinstance(record, dict):
                raise ValueError("it is no JSON object")
            entries = set(index_entries(key.table, record, self._rules.indexes))
        except (apsw.Error, *_MISSHAPEN) as error:
            yield self._fault(key, f"it cannot be read ({_text_of(error)})", _RESTORE)
            return
        for entry in sorted(entries):
            if self._has(key, entry):
                self._found += 1
            else:
                evidence = f"the index {entry.index_name} has no entry of it at {entry.sort_key}"
                yield self._fault(key, evidence, _COPY)
        yield from self._misfits(key, record)
        # An unpublished snapshot may lack files; a running service may have changed the document meanwhile.
        is_whole = not self._snapshots.get(key.snapshot, "").startswith(HIDDEN)
        fault = self._rules.look(key.snapshot, key.table, record) if is_whole else None
        if fault is not None and self._is_still(key, document):
            yield self._fault(key, fault, _PICTURES)

    def _misfits(self, key: Key, record: Mapping[str, Any]) -> Iterator[Fault]:
        """Yield a fault when a document's key differs from the one in its own fields."""
        if key[1:] == UNFINISHED_COPY:
            yield Fault(str(self._database), "it is a copy that was not finished", _FINISH)
        elif key.table not in self._rules.identities:
            yield self._fault(key, "there is no such table", _RESTORE)
        else:
            try:
                organization, doc_id = self._rules.identities[key.table](record)
                if (organization, doc_id) != key[2:]:
                    evidence = f"by its own fields it is of organization {organization}, id {doc_id}"
                    yield self._fault(key, evidence, _RESTORE)
            except _MISSHAPEN as error:
                yield self._fault(key, f"it does not tell whose it is ({error!r})", _RESTORE)

    def _stray_entries(self) -> Iterator[Fault]:
        """Yield a fault for each index entry whose document is missing, or has another sort key."""
        columns = "snapshot, kind, organization, id, index_name, sort_key"
        for *row, index, sort_key in self._connection.execute(f"SELECT {columns} FROM {_ENTRIES}"):
            key = Key(*row)
            try:
                entries = index_entries(key.table, _find(self._connection, key), self._rules.indexes)
            except (apsw.Error, *_MISSHAPEN):
                continue  # that is the document's own fault
            if IndexEntry(index, sort_key) not in entries:
                yield self._fault(key, f"the index {index} has an entry of it at {sort_key} for no reason", _COPY)

    def _has(self, key: Key, entry: IndexEntry) -> bool:
        statement = f"SELECT 1 FROM {_ENTRIES} WHERE {_KEY} AND index_name = ? AND sort_key = ?"
        return bool(self._connection.execute(statement, (*key, *entry)).fetchall())

    def _is_still(self, key: Key, document: bytes) -> bool:
        """Whether a document is unchanged since it was read."""
        with closing(open_unchanged(self._database)) as now:
            return _find(now, key) == document

    def _fault(self, key: Key, evidence: str, remedy: str) -> Fault:
        in_snapshot = f", snapshot {self._snapshots[key.snapshot]}" if key.snapshot else ""
        location = f"{self._database}{in_snapshot}, table {key.table}, organization {key.organization}, id {key.id}"
        return Fault(location, evidence, _SNAPSHOTS if in_snapshot else remedy)


def _find(connection: apsw.Connection, key: Key) -> bytes | None:
    """Return a stored document, or None. Raises apsw.Error, TypeError, ValueError."""
    rows: list[Any] = connection.execute(f"SELECT document FROM {_DOCUMENTS} WHERE {_KEY}", key).fetchall()
    return None if not rows else rows[0][0].encode() if isinstance(rows[0][0], str) else bytes(rows[0][0])
