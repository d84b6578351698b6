"""The statements that only PostgreSQL understands."""

from layers_standin.engines.sql import Statements


def escape_nul(text: str) -> str:
    """Return a name with U+0000 escaped: PostgreSQL's text cannot hold it, and clients' names may have it."""
    return text.replace("\\", "\\\\").replace("\0", "\\0") if "\0" in text or "\\" in text else text


def unescape_nul(text: str) -> str:
    if "\\" not in text:
        return text
    return "\\".join(part.replace("\\0", "\0") for part in text.split("\\\\"))


SQL = Statements("standin_", r"%(\1)s", "CAST(document AS text)", escape_nul, unescape_nul)

# Of one organization: `organization` is always a parameter.

FIND_AND_LOCK = f"{SQL.find} FOR UPDATE"

# Takes ROW SHARE on the table without locking a row: a reset (EXCLUSIVE) waits until this transaction ends.
PIN = "SELECT 1 FROM standin_documents WHERE organization = %(organization)s AND kind = '' FOR KEY SHARE"

# LATERAL and LIMIT: one look into the index for each, whatever the planner's statistics say.
FIND_SOME = """
SELECT wanted.kind, wanted.id, found.document
FROM unnest(%(kinds)s::text[], %(ids)s::text[]) AS wanted (kind, id) CROSS JOIN LATERAL (
    SELECT document FROM standin_documents
    WHERE organization = %(organization)s AND kind = wanted.kind AND id = wanted.id LIMIT 1
) AS found
"""

FIND_SOME_AND_LOCK = FIND_SOME.replace("LIMIT 1", "LIMIT 1 FOR UPDATE")

# Of no organization: for the start of the service, and for the operator.

ADMIN = {
    "begin": "BEGIN",
    "begin one moment": "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "commit": "COMMIT",
    "rollback": "ROLLBACK",
    "limit transactions": (
        "SELECT set_config(name, %(milliseconds)s, false) FROM pg_settings "
        "WHERE name = 'transaction_timeout' AND source = 'default'"
    ),
    "take time": (
        "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout')"
    ),
    "wait": "SET LOCAL lock_timeout = 0",
    "one at a time": "SELECT pg_advisory_xact_lock(7113421)",
    "try alone": "SELECT pg_try_advisory_lock(7113422)",
    "not alone": "SELECT pg_advisory_unlock_all()",
    # In the order in which a transaction comes to them: so neither waits for the other in a circle.
    "no more writes": "LOCK TABLE standin_documents, standin_index_entries IN EXCLUSIVE MODE",
    "no more snapshots": "LOCK TABLE standin_snapshots IN SHARE ROW EXCLUSIVE MODE",
    "is new": "SELECT to_regclass('standin_facts') IS NULL",
}
