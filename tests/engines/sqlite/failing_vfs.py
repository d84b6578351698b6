"""A file system under SQLite whose nth call fails, and a program that asks the service while it does.

`python tests/engines/sqlite/failing_vfs.py FOLDER STATE ACTION` fails every call of an action in turn with every error,
both once and for as long as it takes, and prints a line of JSON for each. A process of its own: the checksum VFS stands
on the one that is the default when it is loaded, so that the failing one has to be there before.

Calls fail where SQLite meets the system, as `errno`, so that all above is SQLite's own: also the maps and locks of the
log's index, which a VFS in Python never sees. Only `fsync` cannot be reached like that; it fails in the VFS.
"""

import ctypes
import errno
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import apsw

_INT, _SIZE, _POINTER, _TEXT = ctypes.c_int, ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_char_p


def _type(*kinds: Any) -> Any:
    return ctypes.CFUNCTYPE(*kinds, use_errno=True)


class System:
    """The system calls of SQLite's VFS, each of a kind: `plan(kind)` returns the error that it ends with, or 0."""

    # name in SQLite: (kind, what it returns when it fails, its type)
    CALLS: ClassVar[dict[str, tuple[str, Any, Any]]] = {
        "open": ("open", -1, _type(_INT, _TEXT, _INT, _INT)),
        "fstat": ("stat", -1, _type(_INT, _INT, _POINTER)),
        "ftruncate": ("truncate", -1, _type(_INT, _INT, ctypes.c_int64)),
        "fcntl": ("lock", -1, _type(_INT, _INT, _INT, _POINTER)),
        "read": ("read", -1, _type(_SIZE, _INT, _POINTER, _SIZE)),
        "pread": ("read", -1, _type(_SIZE, _INT, _POINTER, _SIZE, ctypes.c_int64)),
        "pread64": ("read", -1, _type(_SIZE, _INT, _POINTER, _SIZE, ctypes.c_int64)),
        "write": ("write", -1, _type(_SIZE, _INT, _POINTER, _SIZE)),
        "pwrite": ("write", -1, _type(_SIZE, _INT, _POINTER, _SIZE, ctypes.c_int64)),
        "pwrite64": ("write", -1, _type(_SIZE, _INT, _POINTER, _SIZE, ctypes.c_int64)),
        "mmap": ("map", -1, _type(_POINTER, _POINTER, _SIZE, _INT, _INT, _INT, ctypes.c_int64)),
        "unlink": ("unlink", -1, _type(_INT, _TEXT)),
    }

    def __init__(self, vfs: apsw.VFS, plan: Callable[[str], int]) -> None:
        self._vfs = vfs
        self._originals: dict[str, int] = {}
        self._replacements: dict[str, Any] = {}  # kept, for SQLite has nothing but the address
        for name, (kind, failure, called) in self.CALLS.items():
            address = vfs.xGetSystemCall(name)
            if address:
                self._originals[name] = address
                self._replacements[name] = called(self._replacement(called(address), plan, kind, failure))

    def replace(self) -> None:
        for name, replacement in self._replacements.items():
            self._vfs.xSetSystemCall(name, ctypes.cast(replacement, _POINTER).value)

    def put_back(self) -> None:
        for name, address in self._originals.items():
            self._vfs.xSetSystemCall(name, address)

    @staticmethod
    def _replacement(original: Any, plan: Callable[[str], int], kind: str, failure: Any) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if kind == "lock" and not _takes_lock(*arguments):
                return original(*arguments)
            number = plan(kind)
            if number:
                ctypes.set_errno(number)
                return failure
            return original(*arguments)

        return call


def _takes_lock(_: int, command: int, lock: int | None) -> bool:
    """Whether a call of fcntl takes a lock: to let one go has never failed, and SQLite does not reckon with it."""
    return command == fcntl.F_SETLK and lock is not None and ctypes.c_short.from_address(lock).value != fcntl.F_UNLCK


class Plan:
    """Fails call number `nth` of one kind, counted from 1; `lasting` fails all that follow, until `end`."""

    def __init__(self) -> None:
        self.end()

    def begin(self, kind: str, nth: int, number: int, lasting: bool) -> None:
        self.kind, self._until, self._number, self._lasting, self.failed = kind, nth, number, lasting, 0

    def end(self) -> None:
        self.begin("", 0, 0, False)

    def __call__(self, kind: str) -> int:
        """Return the error that a call of this kind ends with now; 0 when it goes through."""
        if kind != self.kind:
            return 0
        self._until -= 1
        if self._until == 0 or (self._until < 0 and self._lasting):
            self.failed += 1
            return self._number
        return 0


class SyncingFile(apsw.VFSFile):
    def __init__(self, plan: Plan, base: str, filename: Any, flags: list[int]) -> None:
        self._plan = plan
        super().__init__(base, filename, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        if self._plan("sync"):
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)


class FailingVFS(apsw.VFS):
    """To be made before the checksum VFS is loaded."""

    def __init__(self) -> None:
        self.plan = Plan()
        self._base = apsw.vfs_names()[0]
        super().__init__("failing", self._base, makedefault=True)
        self.system = System(self, self.plan)

    def xOpen(self, name: Any, flags: list[int]) -> SyncingFile:  # noqa: N802 - SQLite's name
        return SyncingFile(self.plan, self._base, name, flags)


KINDS = {
    "ENOSPC": ("write", "truncate", "open", "map", "sync"),
    "EIO": ("read", "write", "truncate", "open", "stat", "lock", "map", "unlink", "sync"),
    "EROFS": ("write", "truncate", "open", "unlink", "sync"),
}
AVA = "/v1/influencers/inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"


class Driver:
    """The app in this process, on a store whose file system fails as it is told."""

    def __init__(self, folder: Path, state: str) -> None:
        self.vfs = FailingVFS()
        from app import create_app  # noqa: PLC0415 - after the VFS is there
        from layers_standin.domain.keys import DEMO_KEY  # noqa: PLC0415
        from layers_standin.services import open_services  # noqa: PLC0415
        from layers_standin.settings import Settings  # noqa: PLC0415

        rooms = open_services(Settings(data=folder))
        self.db: Any = rooms.store.db
        rooms.store.signing_key()  # made at its first use, whatever becomes of the request that needs it
        self._state = state
        self._client = create_app(rooms).test_client()
        self._headers = {"X-Api-Key": DEMO_KEY}
        self._number = 0

    def patch(self) -> Any:
        self._number += 1
        return self._client.patch(AVA, headers=self._headers, json={"vibe": f"number {self._number}"})

    def reset(self) -> Any:
        return self._client.post("/_standin/reset")

    def snapshot(self) -> Any:
        return self._client.post("/_standin/snapshots", json={"name": "s"})

    def restore(self) -> Any:
        return self._client.post("/_standin/snapshots/s/restore")

    def read(self) -> Any:
        return self._client.get(AVA, headers=self._headers)

    def health(self) -> Any:
        return self._client.get("/_standin/health")

    def prepare(self) -> None:
        """Let the next action meet a connection that has all in its cache, writes back at each commit, or is new."""
        if self._state == "cold":
            self.db._connections.close()
        elif self._state == "writing back":
            self.db._session().connection.wal_autocheckpoint(1)

    def contents(self) -> Any:
        with self.db.snapshot_read():
            documents = {
                (*space, doc_id): self.db.read(*space, doc_id)
                for space in self.db.tables()
                for doc_id in self.db.ids(*space)
            }
            return documents, [tuple(saved)[:4] for saved in self.db.list_snapshots()]

    def round(self, act: Callable[[], Any], kind: str, nth: int, error: str, lasting: bool) -> dict[str, Any]:
        self.patch()
        if kind == "sync":  # in an empty log no commit comes to the checkpoint, whose syncs cannot fail here: see main
            self.db._session().connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        before = self.contents()
        self.prepare()
        if kind != "sync":  # it raises, and no other Python may run below SQLite until that has come up
            self.vfs.system.replace()
        self.vfs.plan.begin(kind, nth, getattr(errno, error), lasting)
        answer = act()
        failed = self.vfs.plan.failed
        meanwhile = [self.health().status_code, self.read().status_code] if lasting and failed else []
        self.vfs.plan.end()
        self.vfs.system.put_back()
        changed = before != self.contents()
        return {
            "error": error,
            "kind": kind,
            "lasting": lasting,
            "n": nth,
            "failed": failed,
            "status": answer.status_code,
            "told": (answer.json or {}).get("error", {}),
            "changed": changed,
            "meanwhile": meanwhile,
            "afterwards": [self.patch().status_code, self.read().json["vibe"] == f"number {self._number}"],
            "health": self.health().status_code,
        }


def numbers(is_sample: bool) -> Iterator[int]:
    """Yield 1, 2, 3, … or, in a sample, numbers whose distance grows: the calls at the beginning differ the most."""
    number = 1
    while True:
        yield number
        number += 1 + (number // 4 if is_sample else 0)


def main(folder: str, state: str, action: str, of_calls: str) -> None:
    driver = Driver(Path(folder), state)
    driver.snapshot()
    for error, kinds in KINDS.items():
        for kind in kinds:
            if kind == "sync" and state == "writing back":
                continue  # SQLite overlooks a checkpoint that failed, but an exception raised in Python comes through
            for lasting in (False, True):
                if kind == "lock" and lasting:
                    continue  # SQLite tries for ten seconds to take what it takes for a moment's confusion of readers
                for nth in numbers(of_calls == "sampled"):
                    found = driver.round(getattr(driver, action), kind, nth, error, lasting)
                    print(json.dumps(found), flush=True)  # noqa: T201
                    if not found["failed"]:
                        break


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # SQLite must not call what the interpreter has taken down
