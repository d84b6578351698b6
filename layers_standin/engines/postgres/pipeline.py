"""Connections that send prepared statements by libpq: with psycopg's cursors the same costs ten times the time."""

import re
import select
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

# By the OID of a column's type: bool, int8, int4, and json, which is handed on as it is. All others are texts.
_LOADERS: dict[int, Callable[[bytes], Any]] = {16: b"t".__eq__, 20: int, 23: int, 114: bytes}
_LAST_WORDS = (b"FATAL", b"PANIC")
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)
_PARAMETER = re.compile(r"%\((\w+)\)s")
_numbers = count(1)


class _Prepared(NamedTuple):
    """A statement as the server knows it: its name there, its text with $1, $2 and so on, and the parameter of each."""

    name: bytes
    text: bytes
    parameters: tuple[str, ...]


class PipelineConnection(psycopg.Connection[Any]):
    """A connection of psycopg, and a way past its cursors. `known` are the names of its prepared statements."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.known: set[bytes] = set()

    def send(self, statements: Iterable[tuple[str, Mapping[str, Any]]]) -> list[list[Any]]:
        """Send statements in one round trip, and return the rows of each, JSON as bytes.

        Parameters are texts, numbers, and lists of texts. Those after a statement that fails are not executed. Raises
        psycopg.Error.
        """
        sent = [
            (prepared := _prepare(text), [_encode(values[each]) for each in prepared.parameters])
            for text, values in statements
        ]
        commands: list[bytes | None] = []  # the statement that each one prepares, or None if it executes one
        try:
            self.pgconn.enter_pipeline_mode()
            for (name, text, _), values in sent:
                if name not in self.known and name not in commands:
                    commands.append(name)
                    self.pgconn.send_prepare(name, text)
                commands.append(None)
                self.pgconn.send_query_prepared(name, values)
            self.pgconn.pipeline_sync()
            results = _receive(self.pgconn)
            self.pgconn.exit_pipeline_mode()
        except BaseException:
            self.close()  # what it would answer next is not known
            raise
        rows = []
        for prepares, result in zip(commands, results, strict=True):
            if result.status in _FAILED:
                raise error_from_result(result)
            if prepares is None:
                rows.append(_rows_of(result))
            else:
                self.known.add(prepares)
        return rows


@cache
def _prepare(statement: str) -> _Prepared:
    """Name a statement of which each parameter is written %(name)s."""
    parameters = tuple(dict.fromkeys(_PARAMETER.findall(statement)))
    text = _PARAMETER.sub(lambda found: f"${parameters.index(found[1]) + 1}", statement)
    return _Prepared(b"standin_%d" % next(_numbers), text.encode(), parameters)


def _encode(value: str | int | list[str]) -> bytes:
    """Return a parameter as PostgreSQL reads it from a text."""
    if isinstance(value, list):
        value = f"{{{','.join(map(_quote, value))}}}"
    text = str(value)
    if "\0" in text:  # libpq would take it for the end
        raise psycopg.DataError("PostgreSQL's text cannot hold U+0000")
    return text.encode()


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _receive(pgconn: PGconn) -> list[PGresult]:
    """Return the result of each command of a pipeline. Raises psycopg.Error when the connection is lost."""
    results: list[PGresult] = []
    _wait(pgconn, is_sending=bool(pgconn.flush()))
    while True:
        result = pgconn.get_result()
        if result is None:  # behind the results of each command
            _wait(pgconn)
            result = pgconn.get_result()
        if result is None:
            raise psycopg.OperationalError("the connection is lost")
        if result.status == ExecStatus.PIPELINE_SYNC:
            return results
        if result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED) in _LAST_WORDS:
            raise error_from_result(result)
        results.append(result)
        _wait(pgconn)


def _wait(pgconn: PGconn, is_sending: bool = False) -> None:
    """Wait until libpq has the next result: it would wait itself, but hold the interpreter's lock meanwhile."""
    if not (is_sending or pgconn.is_busy()):
        return
    server = select.poll()
    while is_sending or pgconn.is_busy():
        server.register(pgconn.socket, select.POLLIN | (select.POLLOUT if is_sending else 0))
        server.poll()
        pgconn.consume_input()
        is_sending = is_sending and bool(pgconn.flush())


def _rows_of(result: PGresult) -> list[tuple[Any, ...]]:
    loaders = [_LOADERS.get(result.ftype(column), bytes.decode) for column in range(result.nfields)]
    return [
        tuple(
            None if (value := result.get_value(row, column)) is None else load(value)
            for column, load in enumerate(loaders)
        )
        for row in range(result.ntuples)
    ]
