"""The document store in one append-only file (a Bitcask), shared by any number of processes on one machine."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from engines.changes import Changes, Document, Key, Lists, change_of, places_of
from engines.disk import Disk
from engines.errors import Unavailable, Unconfirmed, UnknownFormat
from engines.line import FORMAT, Entry, encode_header, encode_line
from engines.lock import ProcessLock, Turn
from engines.recovery import recover
from engines.replica import Replica, undisturbed
from engines.rewrite import Report, replace_all, rewrite, upgrade
from engines.saved import Saved
from engines.snapshots import forget, place_of, restore, save, saved_in
from engines.table import Record, Table
from engines.upgrades import Upgrade

T = TypeVar("T")

JOURNAL = "journal.jsonl"
LOCK = "journal.lock"

_MOST_MEMBERS = 64
_WORTH_COMPACTING_BYTES = 16 << 20


class Commit:
    """One line in the making: the changes of all transactions that share a sync."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.members = 0
        self.failure: BaseException | None = None
        self._unfinished = threading.Lock()
        self._unfinished.acquire()

    def finish(self) -> None:
        self._unfinished.release()

    def wait(self) -> None:
        """Return when the line is on disk; else raise Unavailable."""
        with self._unfinished:
            pass
        if self.failure is not None:
            raise _unavailable(self.failure) from self.failure


class Journal:
    """TinyDB tables on `folder/journal.jsonl`.

    A transaction runs with the writers' lock held and sees everything committed. Those that queue up meanwhile
    in this process join the same commit; the last of them writes one line, syncs it, and then writes the newline
    that makes it count. Readers take no lock and only ever see synced lines, so a commit that fails
    is cut off again before anyone has seen it.
    `lists` has, for each table that is listed in order, the function that places a document.
    Raises OSError, Damaged, UnknownFormat at opening; Unavailable from what reads or writes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lists: Mapping[str, Lists] | None = None,
        disk: Disk | None = None,
        version: int = FORMAT,
        upgrades: Mapping[int, Upgrade] | None = None,
    ) -> None:
        folder = folder.absolute()
        self.path = folder / JOURNAL
        self._lists = lists or {}
        self._disk = disk or Disk()
        self._version = version
        self._upgrades = upgrades or {}
        folder.mkdir(parents=True, exist_ok=True)
        self._writers = ProcessLock(folder / LOCK)
        self._turn = Turn()
        self._commit: Commit | None = None
        self._refusal: BaseException | None = None
        self._thread = threading.local()
        self._replacing = threading.Lock()
        self._is_placed = True  # whether the file's name is known to be on disk, and not only its content
        try:
            self._replica = self._open()
        except BaseException:
            self._writers.close()
            raise

    @property
    def name(self) -> str:
        """Return where the journal is, by whatever way it was opened."""
        return str(self.path.resolve())

    def table(self, name: str, partition: str = "") -> Table:
        """Return the TinyDB table of that name; each partition has one of its own."""
        return Table(self, name, partition)

    def tables(self) -> list[tuple[str, str]]:
        """Return every (table, partition) that holds a document."""
        return self._fresh().directory.spaces()

    # What a Table needs: documents as JSON, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str) -> bytes | None:
        """Return a document's JSON, or None."""
        changes = self._changes
        if changes is None:
            return self._view().document(table, partition, doc_id)
        key = (table, partition, doc_id)
        return changes[key] if key in changes else self._replica.document(*key)

    def glance(self, table: str, partition: str, doc_id: str) -> bytes | None:
        """Return a document's JSON, or None: of use where others can change it while a transaction goes on."""
        return self.read(table, partition, doc_id)

    def ids(self, table: str, partition: str) -> list[str]:
        """Return the ids of a table in the order they came in."""
        changes = self._changes
        if changes is None:
            return self._view().directory.ids(table, partition)
        return changes.ids(table, partition, self._replica.directory.ids(table, partition))

    def count(self, table: str, partition: str) -> int:
        """Return how many documents a table has."""
        changes = self._changes
        if changes is None:
            return self._view().directory.count(table, partition)
        directory = self._replica.directory
        growth = changes.growth(table, partition, lambda doc_id: directory.find(table, partition, doc_id) is not None)
        return directory.count(table, partition) + growth

    def write(self, table: str, partition: str, doc_id: str, document: bytes | None) -> None:
        """Put or, with None, remove a document; only inside a transaction."""
        changes = self._changes
        if changes is None:
            raise RuntimeError("a document is written inside a transaction")
        changes.put((table, partition, doc_id), document, self._lists)

    def walk(self, table: str, partition: str, group: str, before: str | None = None, most: int = 1) -> list[str]:
        """Return up to `most` places of an ordered list from the greatest down, below `before`.

        Sees what is committed, not the calling transaction's own changes.
        """
        replica = self._replica if self._changes is not None else self._view()
        return replica.walk(table, partition, group, before, most)

    def reading(self) -> AbstractContextManager[None]:
        """Let the reads of a block share one look at the file: they see what was acknowledged before the block.

        Every look hands the interpreter's lock around, which under load costs more than the reads themselves.
        """
        return _Reading(self._thread, self._fresh())

    def expect(self, keys: Sequence[Key], glanced: Sequence[Key] = ()) -> None:
        """Hear which (table, partition, id)s are about to be read: of use only where a look costs a trip."""

    def attempt(self, act: Callable[[], T]) -> T:
        """Return what `act` returns; here no transaction gets in the way of another, so there is no second time."""
        return act()

    def transaction(self, alone: bool = False) -> AbstractContextManager[None]:
        """Make what the block writes one commit, on disk when the block is left; all of it or nothing.

        Inside another transaction the block is a part of it that can fail alone. Here each is `alone` at any rate.
        """
        outer = self._changes
        return self._outermost() if outer is None else _Layer(self._thread, outer)

    # Looking after the file.

    def compact(self) -> Report:
        """Write the live documents to a new file and put it in the old one's place; other processes go on meanwhile."""
        with self._alone() as writers:
            return rewrite(self.path, writers, self._disk, self._lists)

    def is_wasteful(self) -> bool:
        """Whether more than half of a large file is history."""
        replica = self._fresh()
        return replica.position > max(_WORTH_COMPACTING_BYTES, 2 * replica.directory.live_bytes)

    def close(self) -> None:
        self._replica.file.close()
        self._writers.close()

    # All documents at once: each raises Unavailable when the disk refuses, and has changed nothing then;
    # Unconfirmed when it is done and the disk does not say so. Whoever compacts meanwhile is waited for.

    def replace_all(self, documents: Iterable[Document]) -> None:
        """Put these documents in the place of all there are, in one step that every process sees at once.

        A transaction comes before it, and is gone, or after it. Raises ValueError when a document comes twice;
        what `documents` raises goes through, an OSError as Unavailable.
        """
        with self._switching() as writers:
            replace_all(self.path, writers, self._disk, self._lists, self._version, documents)

    def save(self, name: str, facts: Record) -> None:
        """Keep the state of this moment, and JSON about it, under a name; what was kept under it is replaced.

        Others read and write meanwhile. Raises ValueError for a name that is not 1 to 64 letters, digits, _ and -,
        TypeError for facts that are not JSON.
        """
        snapshot = place_of(self.path.parent, name)
        with self._alone(), _as_unwritten(f"The snapshot {name!r} cannot be written"):
            save(self.path, snapshot, self._disk, self._lists, facts)

    def restore(self, name: str) -> None:
        """Put a saved state, brought to today's format, in the place of all there is, as `replace_all` does.

        Raises ValueError, NoSnapshot, DamagedSnapshot, UnknownFormat.
        """
        snapshot = place_of(self.path.parent, name)
        with self._switching() as writers:
            restore(self.path, writers, snapshot, self._disk, self._lists, self._version, self._upgrades)

    def saved(self) -> list[Saved]:
        """Return what is saved, by name."""
        with _as_unwritten("The snapshots cannot be looked at"):
            return saved_in(self.path.parent)

    def forget(self, name: str) -> None:
        """Remove a saved state. Raises ValueError, NoSnapshot."""
        with _as_unwritten(f"The snapshot {name!r} cannot be removed"):
            forget(place_of(self.path.parent, name), self._disk)

    @contextmanager
    def _alone(self) -> Iterator[ProcessLock]:
        """Yield a writers' lock for this once: the one of the commits lets in every thread of this process."""
        if self._changes is not None:
            raise RuntimeError("a journal is not rewritten inside a transaction: that would wait for itself")
        with closing(ProcessLock(self._writers.path)) as writers:
            yield writers

    @contextmanager
    def _switching(self) -> Iterator[ProcessLock]:
        if self._refusal is not None:
            raise _unavailable(self._refusal)
        try:
            with self._alone() as writers, _as_unwritten("The store cannot be replaced"):
                yield writers
        except Unconfirmed as error:
            self._refusal = error.__cause__
            raise
        finally:
            self._thread.view = None  # what this thread reads from now on it reads from the new file

    # Opening and following.

    def _open(self) -> Replica:
        with self._writers.held():
            if not self.path.exists():
                self._create()
            replica = Replica(self.path)
            self._refuse_newer(replica)
            with undisturbed():
                recover(replica, self._disk)
                replica.directory.loaded()
        if replica.format == self._version:
            return replica
        upgrade(self.path, self._writers, self._disk, self._lists, self._version, self._upgrades)
        return self._load()

    def _load(self) -> Replica:
        replica = Replica.load(self.path)
        self._refuse_newer(replica)
        self._is_placed = False
        return replica

    def _refuse_newer(self, replica: Replica) -> None:
        if replica.format > self._version:
            raise UnknownFormat(
                f"The store {self.path} has format {replica.format}, and this program knows formats up to "
                f"{self._version}. Run the newer program, or set STANDIN_DATA to another folder."
            )

    def _create(self) -> None:
        new = self.path.with_suffix(".new")
        with new.open("wb", buffering=0) as file:
            self._disk.append(file.fileno(), encode_header(format=self._version))
            self._disk.sync(file.fileno())
        self._disk.replace(new, self.path)
        self._disk.sync_folder(self.path.parent)

    def _view(self) -> Replica:
        return getattr(self._thread, "view", None) or self._fresh()

    def _fresh(self) -> Replica:
        """Return a replica that knows every line acknowledged before this call."""
        return self._look()[0]

    def _look(self) -> tuple[Replica, int]:
        """Return (fresh replica, size of its file in bytes)."""
        replica = self._replica
        try:
            size = replica.refresh()
        except OSError as error:
            raise Unavailable(f"The store's file cannot be looked at: {error.strerror}.") from error
        if size is not None:
            return replica, size
        with self._replacing:
            if self._replica is replica:
                self._replica = self._load()
        return self._look()

    # The way of a transaction.

    @property
    def _changes(self) -> Changes | None:
        return getattr(self._thread, "changes", None)

    @contextmanager
    def _outermost(self) -> Iterator[None]:
        commit = self._join()
        try:
            with _Layer(self._thread, commit.changes):
                yield
        finally:
            self._thread.changes = None
            self._leave(commit)
            # Whatever the block raised was decided on what it saw: that must be on disk too before it is told.
            commit.wait()

    def _join(self) -> Commit:
        self._turn.acquire()
        try:
            self._commit = self._commit or self._begin()
            self._commit.members += 1
            return self._commit
        except BaseException:
            self._turn.release()
            raise

    def _begin(self) -> Commit:
        if self._refusal is not None:
            raise _unavailable(self._refusal)
        with _as_unavailable():
            self._writers.acquire()
            try:
                replica, size = self._look()
                self._place()
                if size != replica.position:  # its last writer was stopped half-way
                    recover(replica, self._disk)
            except BaseException:
                self._writers.release()
                raise
        return Commit()

    def _place(self) -> None:
        """Sync the folder when another process has put a new file in it: it may have died before it did so itself."""
        if not self._is_placed:
            self._disk.sync_folder(self.path.parent)
            self._is_placed = True

    def _leave(self, commit: Commit) -> None:
        """Pass the turn on; whoever finds nobody waiting for it closes the commit."""
        try:
            if not self._turn.waiting or commit.members >= _MOST_MEMBERS:
                self._commit = None
                self._close(commit)
        finally:
            self._turn.release()

    def _close(self, commit: Commit) -> None:
        try:
            self._append(commit)
        except OSError as error:
            commit.failure = self._refusal = error
        except BaseException as error:  # a document that cannot be placed, or an interrupt: no member may think it done
            commit.failure = error
            raise
        finally:
            self._writers.release()
            commit.finish()

    def _append(self, commit: Commit) -> None:
        replica, descriptor = self._replica, self._replica.file.fileno()
        changes = [change_of(key, self._places(key), written) for key, written in commit.changes.own()]
        if not changes:
            return
        start, line = replica.position, encode_line(replica.seq + 1, changes)
        try:
            self._disk.append(descriptor, line)
            self._disk.sync(descriptor)
            self._disk.append(descriptor, b"\n")
        except OSError:
            with contextlib.suppress(OSError):  # what cannot be cut off now, the next opening finishes or cuts
                self._disk.truncate(descriptor, start)
            raise
        replica.take_own(line, start)

    def _places(self, key: Key) -> list[Entry]:
        """Return the places of a document as the file has it."""
        return places_of(key[0], self._replica.document(*key), self._lists) if key[0] in self._lists else []


class _Reading:
    """A block of reads that share one look."""

    __slots__ = ("_replica", "_thread")

    def __init__(self, thread: threading.local, replica: Replica) -> None:
        self._thread, self._replica = thread, replica

    def __enter__(self) -> None:
        self._thread.view = self._replica

    def __exit__(self, *_: object) -> None:
        self._thread.view = None


class _Layer:
    """A part of a transaction: kept when its block ends well, forgotten when it does not.

    A class, for it stands on the way of every write: a generator would cost five times as much.
    """

    __slots__ = ("_below", "_own", "_thread")

    def __init__(self, thread: threading.local, below: Changes) -> None:
        self._thread, self._below, self._own = thread, below, Changes(below)

    def __enter__(self) -> None:
        self._thread.changes = self._own

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.changes = self._below
        if kind is None:
            self._below.take(self._own)


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from error


@contextmanager
def _as_unwritten(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{what}: {error.strerror}. Nothing was changed.") from error


def _unavailable(error: BaseException) -> Unavailable:
    reason = getattr(error, "strerror", None) or str(error) or repr(error)
    return Unavailable(f"The store takes no writes since this happened: {reason}.")
