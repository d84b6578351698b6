"""The document store on a PostgreSQL server, shared by any number of processes on any number of hosts."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, Cursor

from engines.errors import EngineError, Unavailable, Unconfirmed, UnknownFormat
from engines.indexes import Key, Lists, places_of
from engines.postgres import sql
from engines.postgres.block import Block, find
from engines.postgres.changes import Changes, Written
from engines.postgres.connections import Connections, NoneFree, name_of, reason
from engines.postgres.sql import CREATE, SCHEMA, SQL, plain, safe
from engines.sql import Sent
from engines.states import Purpose, States
from engines.table import Table

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
ATTEMPTS = 8
FORMAT = 1
_PAUSE_SECONDS = 0.01

# What another transaction has brought about by being there at the same time; once more, and it may well go.
_IN_THE_WAY = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.UniqueViolation,
)

# Of a transaction over all organizations.
_BEGINNINGS: dict[Purpose, tuple[str, ...]] = {
    "replace": ("begin", "take time", "no more writes"),
    "restore": ("begin", "take time", "no more snapshots", "no more writes"),
    # The moment is that of the first look, which comes after the wait for others who save.
    "keep": ("begin one moment", "no more snapshots", "take time"),
}


class TryAgain(Unavailable):
    """Nothing was changed, and the same may well succeed now."""


class Postgres(States):
    """TinyDB tables on a PostgreSQL database.

    A transaction locks the rows it reads, and writes them when its block is left: a trip to the server for each look,
    and one for all that is written. What it read as absent it inserts, so that of two that do the same one fails, and
    is tried again by `attempt`. Everything comes to the tables in the order documents, places, organizations.
    `lists` has, for each table that is listed in order, the function that places a document.
    Raises EngineError at opening; Unavailable from everything else, after `patience_seconds` at most where it waits
    for a connection or for others to leave a document alone; Unconfirmed when a transaction ends and nobody says how.
    """

    def __init__(
        self,
        url: str,
        *,
        lists: Mapping[str, Lists] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._url = url
        self._lists, self._format = lists or {}, FORMAT
        self._connections = Connections(url, patience_seconds)
        self._thread = threading.local()
        self._open()

    @property
    def name(self) -> str:
        """Return what may be said of the database: nothing of who logs in, or how."""
        return name_of(self._url)

    def table(self, name: str, partition: str = "") -> Table:
        """Return the TinyDB table of that name; each partition has one of its own."""
        return Table(self, name, partition)

    # What a Table needs: documents as JSON, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str) -> bytes | None:
        """Return a document's JSON, or None."""
        key = (table, partition, doc_id)
        changes, block = self._changes, self._block
        if changes is not None:
            return changes[key] if key in changes else self._read_and_lock(key)
        if block is not None and key in block.seen:
            return block.seen[key]
        rows = self._ask(SQL.find, SQL.of(key))
        return rows[0][0] if rows else None

    def glance(self, table: str, partition: str, doc_id: str) -> bytes | None:
        """Return a document's JSON, or None, and let others change it while the transaction goes on.

        For what is only asked whether it is there: many transactions ask it of the same document, and would all wait.
        """
        key = (table, partition, doc_id)
        changes, block = self._changes, self._block
        if changes is None or block is None or key in changes or key in block.seen:
            return self.read(table, partition, doc_id)
        if key not in block.glanced:
            self._lock(block, [], [key])
        return block.glanced[key]

    def expect(self, keys: Sequence[Key], glanced: Sequence[Key] = ()) -> None:
        """Fetch what is about to be read, in one trip: it is kept until `reading()` ends, locked in a transaction."""
        block, changes = self._block, self._changes
        if block is None:
            return
        wanted = [key for key in keys if key not in block.seen and (changes is None or key not in changes)]
        if changes is not None:
            self._lock(block, wanted, [key for key in glanced if key not in changes])
        elif wanted:
            block.seen.update(self._look(partial(find, keys=wanted)))

    def ids(self, table: str, partition: str) -> list[str]:
        """Return the ids of a table in the order they came in."""
        rows = self._ask(SQL.ids, SQL.of_table(table, partition))
        ids = [plain(doc_id) for (doc_id,) in rows]
        return ids if self._changes is None else self._changes.ids(table, partition, ids)

    def count(self, table: str, partition: str) -> int:
        """Return how many documents a table has."""
        if self._changes is not None:
            return len(self.ids(table, partition))
        return int(self._ask(SQL.count, SQL.of_table(table, partition))[0][0])

    def write(self, table: str, partition: str, doc_id: str, document: bytes | None) -> None:
        """Put or, with None, remove a document; only inside a transaction."""
        if self._changes is None:
            raise RuntimeError("a document is written inside a transaction")
        self._changes.put((table, partition, doc_id), document, self._lists)

    def walk(self, table: str, partition: str, group: str, before: str | None = None, most: int = 1) -> list[str]:
        """Return up to `most` places of an ordered list from the greatest down, below `before`.

        Sees what is committed, not the calling transaction's own changes.
        """
        of = SQL.of_table(table, partition) | {"index": safe(group), "limit": most}
        if before is None:
            return [plain(place) for (place,) in self._ask(SQL.scan, of)]
        return [plain(place) for (place,) in self._ask(SQL.scan_below, of | {"before": safe(before)})]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let the reads of a block share a connection, and what `expect` has fetched for them."""
        if self._block is not None:
            yield
            return
        with self._lent() as block:
            self._thread.block = block
            try:
                yield
            finally:
                self._thread.block = None

    def probe(self) -> None:
        """Commit a change that changes nothing: raises Unavailable as long as the database takes no writes."""
        with self._over_all("begin") as connection:
            for statement in SQL.probe:
                connection.execute(statement)

    def transaction(self, alone: bool = False) -> AbstractContextManager[None]:
        """Make what the block writes one commit, on disk when the block is left; all of it or nothing.

        Inside another transaction the block is a part of it that can fail alone. One that is `alone` begins when all
        others have ended, and keeps new ones waiting.
        """
        outer = self._changes
        if outer is None:
            return self._outermost(alone)
        if alone:
            raise RuntimeError("a transaction inside another is not alone: it would wait for itself")
        return self._inner(outer)

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

    @contextmanager
    def exclusive(self, patience_seconds: float = 30.0) -> Iterator[None]:
        """Let no other process, of any host, alter documents and files together.

        The block works on the connection that has the lock: with that goes everything it has not committed.
        """
        deadline = time.monotonic() + patience_seconds
        while True:
            with self._lent() as lent, self._pinned(lent) as is_alone:
                if is_alone:
                    yield
                    return
            if time.monotonic() >= deadline:
                raise Unavailable(f"Others have altered the database {self.name} as a whole for too long.")
            time.sleep(_PAUSE_SECONDS)

    @contextmanager
    def _pinned(self, lent: Block) -> Iterator[bool]:
        """Try to take the lock of those who are exclusive; let this thread work on the connection that has it."""
        lease = self._thread.lease = lent.lease
        try:
            ((is_alone,),) = self._ask(sql.OF_ALL["try alone"], {})
            lease.is_pinned = is_alone
            yield is_alone
        finally:
            lease.is_pinned, self._thread.lease = False, None
            with suppress(psycopg.Error):
                lease.connection.execute(sql.OF_ALL["not alone"])

    def close(self) -> None:
        self._connections.drop_idle()

    # One connection.

    @property
    def _block(self) -> Block | None:
        return getattr(self._thread, "block", None)

    @property
    def _changes(self) -> Changes | None:
        return getattr(self._thread, "changes", None)

    @contextmanager
    def _lent(self) -> Iterator[Block]:
        """Lend a connection of this process, the one this thread has if it has one. Raises Unavailable."""
        if self._block is not None:
            yield self._block
            return
        if (pinned := getattr(self._thread, "lease", None)) is not None:
            yield Block(pinned)
            return
        try:
            lease = self._connections.lend()
        except (NoneFree, psycopg.Error) as error:
            raise self._unavailable(error) from error
        try:
            yield Block(lease)
        finally:
            lease.end()

    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        return self._look(lambda connection: connection.execute(statement, parameters).fetchall())

    def _look(self, look: Callable[[Connection[Any]], T]) -> T:
        """Return what `look` reads; it looks again when its connection turns out to be lost. Raises Unavailable."""
        with self._lent() as block:
            return self._first(block, lambda: look(block.connection))

    def _first(self, block: Block, act: Callable[[], T]) -> T:
        """Return what `act` returns; it acts again when its connection turns out to be lost, and nothing had begun."""
        had_begun = block.has_begun
        try:
            return act()
        except psycopg.Error as error:
            if had_begun or not block.lease.is_lost:
                raise self._refused(block, error) from error
        try:
            block.renew()
        except psycopg.Error as error:
            raise self._unavailable(error) from error
        try:
            return act()
        except psycopg.Error as error:
            raise self._refused(block, error) from error

    def _unavailable(self, error: BaseException) -> Unavailable:
        return Unavailable(f"The database {self.name} does not serve: {reason(error)}.")

    def _refused(self, block: Block, error: psycopg.Error) -> Unavailable:
        """Return what an error before the commit means: what was lost with its connection was not done."""
        if isinstance(error, _IN_THE_WAY) or block.lease.is_lost:
            return TryAgain(f"The database {self.name} could not finish: {reason(error)}.")
        return self._unavailable(error)

    # One transaction.

    @contextmanager
    def _outermost(self, alone: bool) -> Iterator[None]:
        before = self._block
        with self._lent() as lent:
            block = self._thread.block = Block(lent.lease)
            changes = self._thread.changes = Changes()
            try:
                if alone:
                    self._exclude(block)
                yield
                self._commit(block, changes)
            except BaseException:
                block.roll_back()
                raise
            finally:
                self._thread.block, self._thread.changes = before, None
                lent.seen.clear()  # it may have been changed

    def _exclude(self, block: Block) -> None:
        try:
            self._begin_whole(block, ("begin", "no more writes"))
        except psycopg.Error as error:
            raise self._refused(block, error) from error

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

    def _lock(self, block: Block, keys: Sequence[Key], glanced: Sequence[Key] = ()) -> None:
        """Begin, if that has not been done; read rows and keep everybody else from writing them. All in one trip.

        Those of `glanced` are read, and not kept from anybody.
        """
        self._first(block, lambda: block.find_and_lock(keys, glanced))

    def _commit(self, block: Block, changes: Changes) -> None:
        """Write it all in one trip."""
        written = dict(changes.own())
        unread = [key for key in written if key[0] in self._lists and key not in block.seen]
        if unread or (written and not block.has_begun):
            self._lock(block, unread)
        if not block.has_begun:
            return
        changed = {
            key: after for key, after in written.items() if key not in block.seen or block.seen[key] != after.document
        }
        statements = [*self._writing(block, changed), (sql.OF_ALL["commit"], {})]
        try:
            with block.connection.pipeline():
                for statement, parameters in statements:
                    block.connection.execute(statement, parameters)
        except _IN_THE_WAY as error:
            raise self._refused(block, error) from error
        except psycopg.Error as error:
            if block.lease.is_lost or isinstance(error, psycopg.errors.StatementCompletionUnknown):
                raise self._unconfirmed() from error
            raise self._unavailable(error) from error
        block.has_begun = False

    def _unconfirmed(self) -> Unconfirmed:
        return Unconfirmed(f"The database {self.name} was lost before it said whether it has done what it was told.")

    def _writing(self, block: Block, changed: Mapping[Key, Written]) -> Iterator[Sent]:
        for key, after in changed.items():
            yield from self._statements(block, key, after)

    def _statements(self, block: Block, key: Key, after: Written) -> Iterator[Sent]:
        before = block.seen.get(key)
        if after.document is None:
            yield SQL.delete, SQL.of(key)
        elif before is not None:
            yield SQL.update, SQL.of(key) | {"document": after.document.decode()}
        else:
            yield SQL.insert if key in block.seen else SQL.upsert, SQL.of_new(key, after.document)
        yield from SQL.moves(key, places_of(key[0], before, self._lists), after.places)

    # All of it.

    @contextmanager
    def _whole(self, purpose: Purpose) -> Iterator["_Database"]:
        with self._over_all(*_BEGINNINGS[purpose]) as connection:
            yield _Database(connection)

    def _read_whole(self, read: Callable[["_Database"], T]) -> T:
        return self._look(lambda connection: read(_Database(connection)))

    @contextmanager
    def _over_all(self, *beginning: str) -> Iterator[Connection[Any]]:
        """Lend a connection in a transaction over all organizations, begun by these statements of `OF_ALL`."""
        if self._changes is not None:
            raise RuntimeError("nothing is replaced or kept as a whole inside a transaction: it would wait for itself")
        with self._lent() as lent:
            block = Block(lent.lease)
            try:
                self._begin_whole(block, beginning)
                yield block.connection
                self._end_whole(block)
            except psycopg.Error as error:
                raise self._refused(block, error) from error
            finally:
                block.roll_back()
                lent.seen.clear()

    def _begin_whole(self, block: Block, beginning: Sequence[str]) -> None:
        self._first(block, lambda: block.connection.execute(sql.OF_ALL[beginning[0]]))
        block.has_begun = True
        for each in beginning[1:]:
            block.connection.execute(sql.OF_ALL[each])

    def _end_whole(self, block: Block) -> None:
        try:
            block.connection.execute(sql.OF_ALL["commit"])
        except psycopg.Error as error:
            if block.lease.is_lost:
                raise self._unconfirmed() from error
            raise
        block.has_begun = False

    def _open(self) -> None:
        """Make the tables where there are none; of many hosts one does it."""
        try:
            if not self._look(self._facts):
                with self._over_all("begin", "take time", "wait", "one at a time") as connection:
                    self._create(connection)
        except BaseException:
            self.close()
            raise

    def _create(self, connection: Connection[Any]) -> None:
        if not self._facts(connection):
            for statement in CREATE:
                connection.execute(statement)
            for name, number in (("schema", SCHEMA), ("format", FORMAT)):
                connection.execute(SQL.note_fact, {"name": name, "fact": str(number)})

    def _facts(self, connection: Connection[Any]) -> dict[str, int]:
        """Return the schema and format of the database, nothing when it is new. Raises UnknownFormat, EngineError."""
        (is_new,) = connection.execute(sql.OF_ALL["is new"]).fetchone() or (True,)
        facts = {} if is_new else {name: int(fact) for name, fact in connection.execute(SQL.facts)}
        if facts and facts.get("schema", 0) < SCHEMA:
            raise UnknownFormat(
                f"The database {self.name} was written by version 0.1.0: with that version copy it into a folder "
                "(`flask store copy`) and run `flask store export > backup.json`, then import that here into a new one."
            )
        for fact, known in (("schema", SCHEMA), ("format", FORMAT)):
            if facts.get(fact, 0) > known:
                raise UnknownFormat(
                    f"The database {self.name} has {fact} {facts[fact]}, and this program knows up to {known}. "
                    "Run the newer program, or set STANDIN_STORE to another database."
                )
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            raise EngineError(f"The database {self.name} is encoded in {encoding}: create one whose encoding is UTF8.")
        return facts


class _Database:
    """How the statements over all organizations are sent to PostgreSQL: many in one trip."""

    statements = SQL

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def rows(self, statement: str) -> list[Any]:
        return self._connection.execute(statement).fetchall()

    def columns(self, sent: Iterable[Sent]) -> list[list[Any]]:
        return [[_unescaped(first) for first, *_ in cursor] for cursor in self._send(sent)]

    def changed(self, sent: Iterable[Sent]) -> int:
        return sum(cursor.rowcount for cursor in self._send(sent))

    def _send(self, sent: Iterable[Sent]) -> list[Cursor[Any]]:
        with self._connection.pipeline():
            return [self._connection.execute(statement, parameters) for statement, parameters in sent]


def _unescaped(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value
