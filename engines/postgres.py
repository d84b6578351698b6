"""The document store on a PostgreSQL server, shared by any number of processes on any number of hosts."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, NamedTuple, TypeVar

import orjson
import psycopg
from psycopg import Connection, Cursor
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout
from ulid import ULID

from engines import sql
from engines.changes import Changes, Key, Lists, Written, places_of
from engines.errors import EngineError, NoSnapshot, Unavailable, Unconfirmed, UnknownFormat
from engines.line import FORMAT, Entry
from engines.table import Saved, Table

T = TypeVar("T")
Upgrade = Callable[[str, dict[str, Any]], dict[str, Any]]

MOST_CONNECTIONS = 8
PATIENCE_SECONDS = 5.0
ATTEMPTS = 6
_PAUSE_SECONDS = 0.01

# What another transaction has brought about by being there at the same time; once more, and it may well go.
_IN_THE_WAY = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.UniqueViolation,
)


class TryAgain(Unavailable):
    """Nothing was changed, and the same may well succeed now."""


class _Raw(Loader):
    """Documents come out as the bytes that went in."""

    def load(self, data: Any) -> bytes:
        return bytes(data)


class _Block:
    """What a thread is in the middle of: a connection of its own, what it has read, and what it wants to write."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self.seen: dict[Key, bytes | None] = {}
        self.has_begun = False


class _Sent(NamedTuple):
    """A statement and its parameters."""

    statement: str
    parameters: Mapping[str, Any]


class Postgres:
    """TinyDB tables on a PostgreSQL database.

    A transaction locks the rows it reads, and writes them when its block is left: two trips to the server. What it read
    as absent it inserts, so that of two that do the same one fails, and is tried again by `attempt`.
    `lists` has, for each table that is listed in order, the function that places a document.
    Raises EngineError at opening; Unavailable from everything else.
    """

    def __init__(
        self,
        url: str,
        *,
        lists: Mapping[str, Lists] | None = None,
        version: int = FORMAT,
        upgrades: Mapping[int, Upgrade] | None = None,
    ) -> None:
        self._url = url
        self._lists = lists or {}
        self._version = version
        self._upgrades = upgrades or {}
        self._pool: ConnectionPool[Connection[Any]] | None = None
        self._owner = 0
        self._opening = threading.Lock()
        self._thread = threading.local()
        self._met: set[str] = set()
        self._prepare()

    @property
    def name(self) -> str:
        """Return what may be said of the database: nothing of who logs in, or how."""
        return name_of(self._url)

    def table(self, name: str, partition: str = "") -> Table:
        """Return the TinyDB table of that name; each partition has one of its own."""
        return Table(self, name, partition)

    def tables(self) -> list[tuple[str, str]]:
        """Return every (table, partition) that holds a document."""
        return [
            (_plain(kind), partition)
            for partition in self._partitions()
            for (kind,) in self._ask(sql.KINDS, {"organization": _safe(partition)})
        ]

    # What a Table needs: documents as JSON, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str) -> bytes | None:
        """Return a document's JSON, or None."""
        key = (table, partition, doc_id)
        changes = self._changes
        if changes is not None:
            return changes[key] if key in changes else self._read_and_lock(key)
        block = self._block
        if block is not None and key in block.seen:
            return block.seen[key]
        rows = self._ask(sql.FIND, _key(key))
        return rows[0][0] if rows else None

    def expect(self, keys: Sequence[Key]) -> None:
        """Fetch what is about to be read, in one trip; it is kept until the end of `reading()`."""
        block = self._block
        if block is None or self._changes is not None:
            return
        with suppress(psycopg.Error), block.connection.pipeline():  # what went wrong shows again when it is read
            found = {partition: self._find_some(block, partition, keys) for partition in {key[1] for key in keys}}
            for partition, cursor in found.items():
                rows = {(_plain(kind), partition, _plain(doc_id)): document for kind, doc_id, document in cursor}
                block.seen.update({key: rows.get(key) for key in keys if key[1] == partition})

    def _find_some(self, block: _Block, partition: str, keys: Sequence[Key]) -> Cursor[Any]:
        pairs = [(_safe(table), _safe(doc_id)) for table, of, doc_id in keys if of == partition]
        kinds, ids = [table for table, _ in pairs], [doc_id for _, doc_id in pairs]
        return block.connection.execute(sql.FIND_SOME, {"organization": _safe(partition), "kinds": kinds, "ids": ids})

    def ids(self, table: str, partition: str) -> list[str]:
        """Return the ids of a table in the order they came in."""
        rows = self._ask(sql.IDS, {"organization": _safe(partition), "kind": _safe(table)})
        ids = [_plain(doc_id) for (doc_id,) in rows]
        return ids if self._changes is None else self._changes.ids(table, partition, ids)

    def count(self, table: str, partition: str) -> int:
        """Return how many documents a table holds, without those of a transaction that goes on."""
        return int(self._ask(sql.COUNT, {"organization": _safe(partition), "kind": _safe(table)})[0][0])

    def write(self, table: str, partition: str, doc_id: str, document: bytes | None) -> None:
        """Put or, with None, remove a document; only inside a transaction."""
        if self._changes is None:
            raise RuntimeError("a document is written inside a transaction")
        self._changes.put((table, partition, doc_id), document, self._lists)

    def walk(self, table: str, partition: str, group: str, before: str | None = None, most: int = 1) -> list[str]:
        """Return up to `most` places of an ordered list from the greatest down, below `before`.

        Sees what is committed, not the calling transaction's own changes.
        """
        of = {"organization": _safe(partition), "kind": _safe(table), "list": _safe(group), "most": most}
        if before is None:
            return [_plain(place) for (place,) in self._ask(sql.WALK, of)]
        return [_plain(place) for (place,) in self._ask(sql.WALK_BELOW, of | {"before": _safe(before)})]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let the reads of a block share a connection, and what `expect` has fetched for them."""
        if self._block is not None:
            yield
            return
        with self._connection() as connection:
            self._thread.block = _Block(connection)
            try:
                yield
            finally:
                self._thread.block = None

    def transaction(self) -> AbstractContextManager[None]:
        """Make what the block writes one commit, on disk when the block is left; all of it or nothing.

        Inside another transaction the block is a part of it that can fail alone.
        """
        outer = self._changes
        return self._outermost() if outer is None else self._inner(outer)

    def attempt(self, act: Callable[[], T]) -> T:
        """Return what `act` returns; run it again, a few times, when other transactions get in its way."""
        if self._changes is not None:
            return act()
        for number in range(1, ATTEMPTS):
            try:
                return act()
            except TryAgain:
                time.sleep(_PAUSE_SECONDS * number * random.random())  # noqa: S311 - so that twins do not meet again
        return act()

    # All documents at once.

    def replace_all(self, documents: Iterable[tuple[str, str, str, bytes]]) -> None:
        """Put these (table, partition, id, JSON) in the place of all there is, in one step."""
        with self._whole() as connection:
            self._empty(connection)
            self._fill(connection, documents)

    def save(self, name: str, facts: Mapping[str, Any]) -> None:
        """Keep the state of one moment under a name, in the place of what was kept there."""
        with self._whole("begin one moment", locked=False) as connection:
            self._drop_snapshot(connection, name)
            for organization in self._partitions(connection):
                of = {"organization": _safe(organization), "snapshot": name}
                connection.execute(sql.KEEP_DOCUMENTS, of)
                connection.execute(sql.KEEP_PLACES, of)
            told = {"facts": dict(facts), "format": self._version}
            connection.execute(sql.OF_ALL["name snapshot"], {"name": name, "facts": orjson.dumps(told).decode()})

    def restore(self, name: str) -> None:
        """Put a saved state in the place of all there is; it can be restored again. Raises NoSnapshot."""
        with self._whole() as connection:
            told = self._snapshots(connection).get(name)
            if told is None:
                raise _no_snapshot(name)
            self._empty(connection)
            for organization in self._partitions(connection):
                of = {"organization": _safe(organization), "snapshot": name}
                connection.execute(sql.BRING_BACK_DOCUMENTS, of)
                connection.execute(sql.BRING_BACK_PLACES, of)
            self._upgrade(connection, told["format"])

    def saved(self) -> list[Saved]:
        """Return the saved states by name."""
        with self._whole("begin one moment", locked=False) as connection:
            partitions = self._partitions(connection)
            return [
                Saved(name, told["facts"], *self._size(connection, name, partitions))
                for name, told in self._snapshots(connection).items()
            ]

    def forget(self, name: str) -> None:
        """Remove a saved state. Raises NoSnapshot."""
        with self._whole(locked=False) as connection:
            if not self._drop_snapshot(connection, name):
                raise _no_snapshot(name)

    def close(self) -> None:
        if self._pool is not None and self._owner == os.getpid():
            self._pool.close()
        self._pool = None

    # One connection.

    @property
    def _block(self) -> _Block | None:
        return getattr(self._thread, "block", None)

    @property
    def _changes(self) -> Changes | None:
        return getattr(self._thread, "changes", None)

    @contextmanager
    def _connection(self) -> Iterator[Connection[Any]]:
        """Lend a connection of this process. Raises Unavailable when there is none for too long."""
        try:
            connection = self._opened().getconn(PATIENCE_SECONDS)
        except (PoolTimeout, psycopg.Error) as error:
            raise self._unavailable(error) from error
        try:
            yield connection
        finally:
            with suppress(psycopg.Error):
                self._opened().putconn(connection)

    def _opened(self) -> ConnectionPool[Connection[Any]]:
        """Return the pool of this process; one that was opened before a fork is not ours."""
        if self._pool is None or self._owner != os.getpid():
            with self._opening:
                if self._pool is None or self._owner != os.getpid():
                    self._pool, self._owner = _pool(self._url), os.getpid()
        return self._pool

    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the rows of a statement that only reads; asked again when the connection turns out to be dead."""
        block = self._block
        if block is not None:
            try:
                return block.connection.execute(statement, parameters).fetchall()
            except psycopg.DataError:
                return []
            except psycopg.Error as error:
                if self._changes is not None:
                    raise self._in_transaction(error) from error
                if not block.connection.closed:
                    raise self._unavailable(error) from error
        for is_last in (False, True):
            with self._connection() as connection:
                try:
                    return connection.execute(statement, parameters).fetchall()
                except psycopg.Error as error:
                    if is_last or not connection.closed:
                        raise self._unavailable(error) from error
        return []

    def _unavailable(self, error: BaseException) -> Unavailable:
        return Unavailable(f"The database {self.name} does not serve: {_reason(error)}.")

    def _in_transaction(self, error: psycopg.Error) -> Unavailable:
        """Return what an error before the commit means: what was lost with the connection was not done."""
        if isinstance(error, _IN_THE_WAY) or (self._block is not None and self._block.connection.closed):
            return TryAgain(f"The database {self.name} could not finish: {_reason(error)}.")
        return self._unavailable(error)

    # One transaction.

    @contextmanager
    def _outermost(self) -> Iterator[None]:
        before = self._block
        with self._connection() if before is None else nullcontext(before.connection) as connection:
            block = _Block(connection)
            self._thread.block, self._thread.changes = block, Changes()
            try:
                yield
                self._commit(block, self._thread.changes)
            except BaseException:
                self._roll_back(block)
                raise
            finally:
                self._thread.block, self._thread.changes = before, None
                if before is not None:
                    before.seen.clear()  # it may have been changed

    @contextmanager
    def _inner(self, outer: Changes) -> Iterator[None]:
        inner = self._thread.changes = Changes(outer)
        try:
            yield
            outer.take(inner)
        finally:
            self._thread.changes = outer

    def _read_and_lock(self, key: Key) -> bytes | None:
        block = self._block
        assert block is not None  # noqa: S101 - a transaction has one
        if key not in block.seen:
            self._lock(block, [key])
        return block.seen[key]

    def _lock(self, block: _Block, keys: Sequence[Key]) -> None:
        """Read rows and keep everybody else from writing them, in one trip."""
        try:
            with block.connection.pipeline():
                self._begin(block)
                cursors = [block.connection.execute(sql.FIND_AND_LOCK, _key(key)) for key in keys]
                for key, cursor in zip(keys, cursors, strict=True):
                    row = cursor.fetchone()
                    block.seen[key] = row[0] if row else None
        except psycopg.Error as error:
            raise self._in_transaction(error) from error

    def _begin(self, block: _Block) -> None:
        if not block.has_begun:
            block.has_begun = True
            block.connection.execute(sql.OF_ALL["begin"])

    def _commit(self, block: _Block, changes: Changes) -> None:
        """Write it all in one trip."""
        unread = [key for key, _ in changes.own() if key[0] in self._lists and key not in block.seen]
        if unread:
            self._lock(block, unread)
        statements = [sent for key, written in changes.own() for sent in self._statements(block, key, written)]
        if not statements and not block.has_begun:
            return
        try:
            with block.connection.pipeline():
                self._begin(block)
                for statement, parameters in statements:
                    block.connection.execute(statement, parameters)
                block.connection.execute(sql.OF_ALL["commit"])
        except _IN_THE_WAY as error:
            raise self._in_transaction(error) from error
        except psycopg.Error as error:
            if block.connection.closed:
                raise Unconfirmed(f"The database {self.name} was lost at the end of a transaction.") from error
            raise self._unavailable(error) from error
        block.has_begun = False
        self._met.update(partition for (_, partition, _), _ in changes.own())

    def _statements(self, block: _Block, key: Key, written: Written) -> Iterator[_Sent]:
        before = block.seen.get(key)
        if key in block.seen and before == written.document:
            return
        if key[1] not in self._met:
            yield _Sent(sql.MEET, {"organization": _safe(key[1])})
        yield from _moves(key, places_of(key[0], before, self._lists), written.places)
        if written.document is None:
            yield _Sent(sql.DELETE, _key(key))
        else:
            document = {"document": written.document.decode()}
            if key not in block.seen:
                yield _Sent(sql.UPSERT, _key(key) | document | _arrived())
            elif before is None:
                yield _Sent(sql.INSERT, _key(key) | document | _arrived())
            else:
                yield _Sent(sql.UPDATE, _key(key) | document)

    def _roll_back(self, block: _Block) -> None:
        if block.has_begun and not block.connection.closed:
            with suppress(psycopg.Error):
                block.connection.execute(sql.OF_ALL["rollback"])

    # All of it.

    @contextmanager
    def _whole(self, begin: str = "begin", locked: bool = True) -> Iterator[Connection[Any]]:
        """Lend a connection in a transaction over all organizations; `locked` keeps every writer out until its end."""
        with self._connection() as connection:
            try:
                connection.execute(sql.OF_ALL[begin])
                if locked:
                    connection.execute(sql.OF_ALL["no more writes"])
                yield connection
                connection.execute(sql.OF_ALL["commit"])
            except BaseException as error:
                with suppress(psycopg.Error):
                    connection.execute(sql.OF_ALL["rollback"])
                if isinstance(error, psycopg.Error):
                    raise self._unavailable(error) from error
                raise

    def _partitions(self, connection: Connection[Any] | None = None) -> list[str]:
        statement = sql.OF_ALL["organizations"]
        rows = self._ask(statement, {}) if connection is None else connection.execute(statement).fetchall()
        return [_plain(organization) for (organization,) in rows]

    def _empty(self, connection: Connection[Any]) -> None:
        for organization in self._partitions(connection):
            connection.execute(sql.EMPTY_DOCUMENTS, {"organization": _safe(organization)})
            connection.execute(sql.EMPTY_PLACES, {"organization": _safe(organization)})

    def _fill(self, connection: Connection[Any], documents: Iterable[tuple[str, str, str, bytes]]) -> None:
        met: set[str] = set()
        with connection.pipeline():
            for table, partition, doc_id, document in documents:
                key = (table, partition, doc_id)
                if partition not in met:
                    met.add(partition)
                    connection.execute(sql.MEET, {"organization": _safe(partition)})
                connection.execute(sql.UPSERT, _key(key) | {"document": document.decode()} | _arrived())
                for statement, parameters in _moves(key, [], places_of(table, document, self._lists)):
                    connection.execute(statement, parameters)

    def _snapshots(self, connection: Connection[Any]) -> dict[str, Any]:
        rows = connection.execute(sql.OF_ALL["snapshots"]).fetchall()
        return {name: orjson.loads(told) for name, told in rows}

    def _size(self, connection: Connection[Any], name: str, partitions: list[str]) -> tuple[int, int]:
        of = ({"organization": _safe(partition), "snapshot": name} for partition in partitions)
        rows = [connection.execute(sql.KEPT_SIZE, each).fetchone() or (0, 0) for each in of]
        return sum(int(count) for count, _ in rows), sum(int(size) for _, size in rows)

    def _drop_snapshot(self, connection: Connection[Any], name: str) -> bool:
        for partition in self._partitions(connection):
            of = {"organization": _safe(partition), "snapshot": name}
            connection.execute(sql.FORGET_DOCUMENTS, of)
            connection.execute(sql.FORGET_PLACES, of)
        return connection.execute(sql.OF_ALL["forget snapshot"], {"name": name}).rowcount > 0

    # Opening.

    def _prepare(self) -> None:
        """Make the tables where there are none, and bring old documents up to date; of many hosts one does it."""
        try:
            with psycopg.connect(self._url, connect_timeout=round(PATIENCE_SECONDS)) as connection:
                connection.adapters.register_loader("json", _Raw)
                connection.execute(sql.OF_ALL["make room"])
                connection.execute(sql.CREATE)
                self._refuse_newer(connection)
                self._upgrade(connection, _fact(connection, "format") or self._version)
                for name, number in (("schema", sql.SCHEMA), ("format", self._version)):
                    connection.execute(sql.OF_ALL["note fact"], {"name": name, "fact": str(number)})
        except psycopg.Error as error:
            raise self._unavailable(error) from error

    def _refuse_newer(self, connection: Connection[Any]) -> None:
        for name, known in (("schema", sql.SCHEMA), ("format", self._version)):
            found = _fact(connection, name)
            if found is not None and found > known:
                raise UnknownFormat(
                    f"The database {self.name} has {name} {found}, and this program knows up to {known}. "
                    "Run the newer program, or set STANDIN_STORE to another database."
                )

    def _upgrade(self, connection: Connection[Any], found: int) -> None:
        steps = [self._upgrades[number] for number in range(found, self._version)]
        if not steps:
            return
        for partition in self._partitions(connection):
            connection.execute(sql.EMPTY_PLACES, {"organization": _safe(partition)})
            kinds = connection.execute(sql.KINDS, {"organization": _safe(partition)}).fetchall()
            for (kind,) in kinds:
                self._upgrade_table(connection, _plain(kind), partition, steps)

    def _upgrade_table(self, connection: Connection[Any], table: str, partition: str, steps: list[Upgrade]) -> None:
        of = {"organization": _safe(partition), "kind": _safe(table)}
        for (doc_id,) in connection.execute(sql.IDS, of).fetchall():
            key = (table, partition, _plain(doc_id))
            (document,) = connection.execute(sql.FIND, _key(key)).fetchone() or (b"{}",)
            record = orjson.loads(document)
            for step in steps:
                record = step(table, record)
            after = orjson.dumps(record)
            connection.execute(sql.UPDATE, _key(key) | {"document": after.decode()})
            for statement, parameters in _moves(key, [], places_of(table, after, self._lists)):
                connection.execute(statement, parameters)


def name_of(url: str) -> str:
    """Return what may be said of a database's URL: its name and where it is, never who logs in."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return "in STANDIN_STORE"
    return f"{parts.get('dbname', 'postgres')} at {parts.get('host', 'localhost')}"


def _pool(url: str) -> ConnectionPool[Connection[Any]]:
    pool: ConnectionPool[Connection[Any]] = ConnectionPool(
        url,
        min_size=1,
        max_size=MOST_CONNECTIONS,
        open=False,
        timeout=PATIENCE_SECONDS,
        configure=_configure,
        kwargs={
            "autocommit": True,
            "prepare_threshold": 0,
            "connect_timeout": round(PATIENCE_SECONDS),
            "options": f"-c statement_timeout={_ms(PATIENCE_SECONDS * 12)} -c lock_timeout={_ms(PATIENCE_SECONDS)}",
        },
    )
    pool.open()
    return pool


def _configure(connection: Connection[Any]) -> None:
    connection.adapters.register_loader("json", _Raw)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _fact(connection: Connection[Any], name: str) -> int | None:
    row = connection.execute(sql.OF_ALL["fact"], {"name": name}).fetchone()
    return None if row is None else int(row[0])


def _reason(error: BaseException) -> str:
    """Return the kind of an error: its text may quote what was sent, or how to log in."""
    state = getattr(error, "sqlstate", None)
    return type(error).__name__ if state is None else f"{type(error).__name__} {state}"


def _no_snapshot(name: str) -> EngineError:
    return NoSnapshot(f"There is no snapshot {name}.")


def _moves(key: Key, left: list[Entry], joined: list[Entry]) -> Iterator[_Sent]:
    """Yield the statements that take a document from its places in lists to others."""
    of = {"organization": _safe(key[1]), "kind": _safe(key[0])}
    for statement, entries, but in ((sql.LEAVE, left, joined), (sql.JOIN, joined, left)):
        for entry in entries:
            if entry not in but:
                yield _Sent(statement, of | {"list": _safe(entry.group), "place": _safe(entry.key)})


def _key(key: Key) -> dict[str, Any]:
    table, partition, doc_id = key
    return {"kind": _safe(table), "organization": _safe(partition), "id": _safe(doc_id)}


def _arrived() -> dict[str, str]:
    return {"arrived": str(ULID())}


# PostgreSQL's text has no U+0000, and what clients name things by may.


def _safe(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\0", "\\0") if "\0" in text or "\\" in text else text


def _plain(text: str) -> str:
    if "\\" not in text:
        return text
    return "\\".join(part.replace("\\0", "\0") for part in text.split("\\\\"))
