"""What others do with the same documents: reads and changes by number of influencers, all from one run."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from typing import NamedTuple

import orjson

from benchmarks.children import in_child
from benchmarks.databases import open_engine
from benchmarks.documents import ORGANIZATION
from benchmarks.influencers import OPERATIONS, ServedStore
from benchmarks.load import Round, Workload
from benchmarks.rounds import Bench, Side, SlowSide, cells
from benchmarks.servers import Server, bare_server, json_server

MEASURED = ("get", "patch")
OURS = "the stand-in"
_COLUMNS = ("CPU each", "requests/s", "p50", "p99")
HEAD = ("server", "influencers", *(f"{name.upper()}: {column}" for name in MEASURED for column in _COLUMNS))
_MAX_IN_JSON = 100_000  # more is a file that neither TinyDB nor Node reads in the memory of a small machine

Rates = dict[str, dict[str, list[tuple[int, float]]]]  # {operation: {server: [(influencers, median requests/s)]}}


class Peer(NamedTuple):
    """Another server: `fill(documents, file)` makes its file, and `serve(file, a path)` runs it.

    `prefix` is the beginning of its paths.
    """

    name: str
    fill: Callable[[Iterator[tuple[str, bytes]], Path], None]
    serve: Callable[[Path, str], AbstractContextManager[Server]]
    max_size: int | None = None
    prefix: str = "/v1"


def compare_peers(bench: Bench, store: ServedStore, data: Path, program: str | None, rates: Rates) -> list[list[str]]:
    """Measure a store, whose folder is `data`, beside each peer; return rows of a table, and add to `rates`.

    `program` is json-server's, if there is one.
    """
    with ExitStack() as running:
        servers = {OURS: (store.server, "/v1")}
        for peer in peers(program):
            if store.size <= (peer.max_size or store.size):
                file = bench.folder / f"peer-{store.size}-{len(servers)}" / "documents"
                in_child(_fill, peer.fill, data, file)
                server = running.enter_context(peer.serve(file, f"/influencers/{store.sample.influencers[0]}"))
                servers[peer.name] = server, peer.prefix
        measured = {name: _measure(bench, name, store, servers) for name in MEASURED}
    for name in MEASURED:
        for server_name, rounds in measured[name].items():
            medians = rates.setdefault(OPERATIONS[name].title, {}).setdefault(server_name, [])
            medians.append((store.size, median(each.per_second for each in rounds)))
    return [
        [name, f"{store.size:,}", *chain.from_iterable(cells(measured[each][name]) for each in MEASURED)]
        for name in servers
    ]


def _measure(
    bench: Bench, name: str, store: ServedStore, servers: Mapping[str, tuple[Server, str]]
) -> dict[str, list[Round]]:
    workload = OPERATIONS[name].workload(store.sample)
    sides = [_side(bench, server, workload, prefix) for server, prefix in servers.values()]
    return dict(zip(servers, bench.measure(sides), strict=True))


def _side(bench: Bench, server: Server, workload: Workload, prefix: str) -> Side:
    requests = [(prefix + path.removeprefix("/v1"), body) for path, body in workload.requests]
    side = Side(server, bench.generator(workload._replace(requests=requests)))
    return SlowSide(*side) if side.is_slow() else side


# The peers


def peers(program: str | None) -> list[Peer]:
    """Return the peers; json-server is among them if its program is named."""
    found = [
        Peer("bare view", _fill_one, partial(_view, "answer_document")),
        Peer("Flask and SQLite, one statement", _fill_sqlite, partial(_view, "sqlite_view")),
        Peer("Flask and TinyDB's JSONStorage", _fill_tinydb, partial(_view, "tinydb_view", workers=1), _MAX_IN_JSON),
    ]
    if program is not None:
        found.append(Peer("json-server", _fill_json_server, partial(_json_server, program), _MAX_IN_JSON, prefix=""))
    return found


@contextmanager
def _view(factory: str, file: Path, _path: str, **settings: int) -> Iterator[Server]:
    with bare_server(file.parent, factory, str(file), **settings) as server:
        yield server


def _json_server(program: str, file: Path, path: str) -> AbstractContextManager[Server]:
    return json_server(program, file.with_suffix(".json"), path)


def _fill(fill: Callable[[Iterator[tuple[str, bytes]], Path], None], data: Path, file: Path) -> None:
    """Call `fill` with (id, JSON text) of each influencer of the store in `data`."""
    file.parent.mkdir()
    with closing(open_engine(data)) as db:
        ids = db.ids("influencers", ORGANIZATION)
        fill(((doc_id, db.read("influencers", ORGANIZATION, doc_id) or b"") for doc_id in ids), file)


def _fill_one(documents: Iterator[tuple[str, bytes]], file: Path) -> None:
    file.write_bytes(next(documents)[1])


def _fill_sqlite(documents: Iterator[tuple[str, bytes]], file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE plain (id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID")
        connection.executemany("INSERT INTO plain VALUES (?, ?)", ((key, text.decode()) for key, text in documents))


def _fill_tinydb(documents: Iterator[tuple[str, bytes]], file: Path) -> None:
    file.write_bytes(orjson.dumps({"influencers": {key: orjson.loads(text) for key, text in documents}}))


def _fill_json_server(documents: Iterator[tuple[str, bytes]], file: Path) -> None:
    items = [orjson.loads(text) | {"id": key} for key, text in documents]
    file.with_suffix(".json").write_bytes(orjson.dumps({"influencers": items}))
