"""The tables of a database, and the facts that tell whether this program can use them."""

from typing import Any

from psycopg import Connection

from layers_standin.engines.errors import EngineError, UnknownFormat
from layers_standin.engines.postgres.sql import ADMIN, SQL
from layers_standin.engines.sql import create

SCHEMA = 2
FORMAT = 1


def create_tables(connection: Connection[Any]) -> None:
    for statement in create("standin_", 'text COLLATE "C" NOT NULL', "json NOT NULL"):
        connection.execute(statement)
    for name, number in (("schema", SCHEMA), ("format", FORMAT)):
        connection.execute(SQL.note_fact, {"name": name, "fact": str(number)})


def facts_of(connection: Connection[Any], name: str) -> dict[str, int]:
    """Return {"schema", "format"} of a database, {} when it is new. Raises UnknownFormat, EngineError.

    `name` is the name of the database in messages.
    """
    (is_new,) = connection.execute(ADMIN["is new"]).fetchone() or (True,)
    facts = {} if is_new else {fact: int(number) for fact, number in connection.execute(SQL.facts)}
    if facts and facts.get("schema", 0) < SCHEMA:
        raise UnknownFormat(
            f"The database {name} was written by version 0.1.0: with that version copy it into a folder "
            "(`flask store copy`) and run `flask store export > backup.json`, then import that here into a new one."
        )
    for fact, known in (("schema", SCHEMA), ("format", FORMAT)):
        if facts.get(fact, 0) > known:
            raise UnknownFormat(
                f"The database {name} has {fact} {facts[fact]}, and this program knows up to {known}. "
                "Run the newer program, or set STANDIN_STORE to another database."
            )
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise EngineError(f"The database {name} is encoded in {encoding}: create one whose encoding is UTF8.")
    return facts
