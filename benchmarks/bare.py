"""The peers: Flask views that do as little as can be done. No key, no check, no log, no history."""

import json
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from flask import Flask, Response, request, send_file
from tinydb import TinyDB

READY = "/ready"

_DOCUMENT = "/v1/influencers/<doc_id>"


def answer_bytes(method: str, rule: str, body: str) -> Flask:
    """Return an app that answers `method` on Flask's `rule` with the bytes of the file `body`, read once as JSON."""
    content, app = Path(body).read_bytes(), _app()
    app.add_url_rule(rule, "answer", lambda **_: _json(content), methods=[method])
    return app


def answer_file(rule: str, file: str, content_type: str) -> Flask:
    """Return an app that answers GET on Flask's `rule` with `file`, sent by Flask's `send_file`."""
    app = _app()
    app.add_url_rule(rule, "answer", lambda **_: send_file(file, content_type))
    return app


def answer_document(file: str) -> Flask:
    """Return an app that answers every GET and PATCH of a document with the bytes of `file`, read once."""
    content = Path(file).read_bytes()
    return _documents(lambda _: content, lambda *_: content)


def sqlite_view(file: str) -> Flask:
    """Return an app on the table `plain` of a SQLite file: one SELECT, or one UPDATE and its synced commit."""
    local = threading.local()

    def run(statement: str, *values: str) -> str:
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(file, isolation_level=None)
            local.connection.execute("PRAGMA synchronous = FULL")
        return cast(str, local.connection.execute(statement, values).fetchall()[0][0])

    read = partial(run, "SELECT document FROM plain WHERE id = ?1")
    update = partial(run, "UPDATE plain SET document = json_patch(document, ?2) WHERE id = ?1 RETURNING document")
    return _documents(read, update)


def postgres_view(url: str) -> Flask:
    """Return an app on the table `plain` of a database: one SELECT, or one UPDATE, through the stand-in's own pool."""
    from layers_standin.engines.postgres.connections import ConnectionPool  # noqa: PLC0415 - it comes with an extra

    pool = ConnectionPool(url, patience_seconds=10)

    def run(statement: str, **values: str) -> str:
        lease = pool.checkout()
        try:
            lease.connection.prepare_threshold = 0  # the pool has switched it off, for the stand-in does it itself
            return cast(str, lease.connection.execute(statement, values).fetchall()[0][0])
        finally:
            lease.end()

    select = "SELECT document::text FROM plain WHERE id = %(id)s"
    merge = "UPDATE plain SET document = document::jsonb || %(patch)s::jsonb WHERE id = %(id)s RETURNING document::text"
    return _documents(lambda doc_id: run(select, id=doc_id), lambda doc_id, patch: run(merge, id=doc_id, patch=patch))


def tinydb_view(file: str) -> Flask:
    """Return an app on the table `influencers` of TinyDB's file: one `get`, or one `update`, under a lock."""
    table, lock = TinyDB(file).table("influencers"), threading.Lock()
    table.document_id_class = str  # type: ignore[assignment]

    def read(doc_id: str) -> str:
        with lock:
            return json.dumps(table.get(doc_id=doc_id))  # type: ignore[call-overload]

    def update(doc_id: str, patch: str) -> str:
        changed: dict[str, Any] = {}

        def merge(document: Any) -> None:
            document.update(json.loads(patch))
            changed.update(document)

        with lock:
            table.update(merge, doc_ids=[doc_id])  # type: ignore[list-item]
        return json.dumps(changed)

    return _documents(read, update)


def _documents(read: Callable[[str], str | bytes], update: Callable[[str, str], str | bytes]) -> Flask:
    """Return an app that answers GET of a document with `read(id)`, and PATCH with `update(id, body)`."""
    app = _app()
    app.add_url_rule(_DOCUMENT, "get", lambda doc_id: _json(read(doc_id)))
    patch = lambda doc_id: _json(update(doc_id, request.get_data(as_text=True)))  # noqa: E731
    app.add_url_rule(_DOCUMENT, "patch", patch, methods=["PATCH"])
    return app


def _json(content: str | bytes) -> Response:
    return Response(content, mimetype="application/json")


def _app() -> Flask:
    app = Flask(__name__, static_folder=None)
    app.add_url_rule(READY, "ready", lambda: Response(status=200))
    return app
