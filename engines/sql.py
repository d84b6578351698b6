"""Every statement the PostgreSQL engine sends.

Each one about documents carries the organization whose they are, and none joins two: so the tables can be distributed
by it, and no statement has to go to more than one place. What cannot is in `OF_ALL`: of it, requests for documents use
only what begins and ends a transaction. `CREATE` is sent once in the life of a database.
"""

SCHEMA = 1

CREATE = """
CREATE TABLE IF NOT EXISTS standin_facts (name text COLLATE "C" PRIMARY KEY, fact text NOT NULL);
CREATE TABLE IF NOT EXISTS standin_organizations (
    organization text COLLATE "C" PRIMARY KEY,
    arrived bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS standin_snapshots (name text COLLATE "C" PRIMARY KEY, facts text NOT NULL);
CREATE TABLE IF NOT EXISTS standin_documents (
    organization text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    arrived bigint NOT NULL,
    document json NOT NULL,
    PRIMARY KEY (organization, kind, id)
);
CREATE TABLE IF NOT EXISTS standin_places (
    organization text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    list text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization, kind, list, place)
);
CREATE TABLE IF NOT EXISTS standin_kept_documents (
    organization text COLLATE "C" NOT NULL,
    snapshot text NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    arrived bigint NOT NULL,
    document json NOT NULL,
    PRIMARY KEY (organization, snapshot, kind, id)
);
CREATE TABLE IF NOT EXISTS standin_kept_places (
    organization text COLLATE "C" NOT NULL,
    snapshot text NOT NULL,
    kind text COLLATE "C" NOT NULL,
    list text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization, snapshot, kind, list, place)
);
"""

# Of one organization: `organization` is always a parameter.

FIND = """
SELECT document FROM standin_documents
WHERE organization = %(organization)s AND kind = %(kind)s AND id = %(id)s
"""

FIND_AND_LOCK = FIND + "FOR UPDATE\n"

# Finds nothing and locks no row; and yet, to the end of the transaction, nobody replaces all there is.
STAY = """
SELECT 1 FROM standin_documents WHERE organization = %(organization)s AND kind = '' FOR KEY SHARE
"""

# One look into the index for each, whatever the planner thinks of the table.
FIND_SOME = """
SELECT wanted.kind, wanted.id, found.document
FROM unnest(%(kinds)s::text[], %(ids)s::text[]) AS wanted (kind, id) CROSS JOIN LATERAL (
    SELECT document FROM standin_documents
    WHERE organization = %(organization)s AND kind = wanted.kind AND id = wanted.id LIMIT 1
) AS found
"""

FIND_SOME_AND_LOCK = FIND_SOME.replace("LIMIT 1", "LIMIT 1 FOR UPDATE")

IDS = """
SELECT id FROM standin_documents
WHERE organization = %(organization)s AND kind = %(kind)s ORDER BY arrived, id
"""

# From each kind to the next one in the index: however many documents there are of one.
KINDS = """
WITH RECURSIVE kinds AS (
    SELECT min(kind) AS kind FROM standin_documents WHERE organization = %(organization)s
    UNION ALL
    SELECT (SELECT min(kind) FROM standin_documents WHERE organization = %(organization)s AND kind > kinds.kind)
    FROM kinds WHERE kinds.kind IS NOT NULL
)
SELECT kind FROM kinds WHERE kind IS NOT NULL
"""

COUNT = """
SELECT count(*) FROM standin_documents WHERE organization = %(organization)s AND kind = %(kind)s
"""

WALK = """
SELECT place FROM standin_places
WHERE organization = %(organization)s AND kind = %(kind)s AND list = %(list)s
ORDER BY place DESC LIMIT %(most)s
"""

WALK_BELOW = """
SELECT place FROM standin_places
WHERE organization = %(organization)s AND kind = %(kind)s AND list = %(list)s AND place < %(before)s
ORDER BY place DESC LIMIT %(most)s
"""

INSERT = """
INSERT INTO standin_documents (organization, kind, id, arrived, document)
VALUES (%(organization)s, %(kind)s, %(id)s, %(arrived)s, %(document)s)
"""

UPDATE = """
UPDATE standin_documents SET document = %(document)s
WHERE organization = %(organization)s AND kind = %(kind)s AND id = %(id)s
"""

UPSERT = INSERT + "ON CONFLICT (organization, kind, id) DO UPDATE SET document = excluded.document\n"

DELETE = """
DELETE FROM standin_documents
WHERE organization = %(organization)s AND kind = %(kind)s AND id = %(id)s
"""

JOIN = """
INSERT INTO standin_places (organization, kind, list, place)
VALUES (%(organization)s, %(kind)s, %(list)s, %(place)s) ON CONFLICT DO NOTHING
"""

LEAVE = """
DELETE FROM standin_places
WHERE organization = %(organization)s AND kind = %(kind)s AND list = %(list)s AND place = %(place)s
"""

MEET = """
INSERT INTO standin_organizations (organization, arrived) VALUES (%(organization)s, %(arrived)s)
ON CONFLICT DO NOTHING
"""

EMPTY_DOCUMENTS = "DELETE FROM standin_documents WHERE organization = %(organization)s"
EMPTY_PLACES = "DELETE FROM standin_places WHERE organization = %(organization)s"

KEEP_DOCUMENTS = """
INSERT INTO standin_kept_documents (organization, snapshot, kind, id, arrived, document)
SELECT organization, %(snapshot)s, kind, id, arrived, document FROM standin_documents
WHERE organization = %(organization)s
"""

KEEP_PLACES = """
INSERT INTO standin_kept_places (organization, snapshot, kind, list, place)
SELECT organization, %(snapshot)s, kind, list, place FROM standin_places WHERE organization = %(organization)s
"""

BRING_BACK_DOCUMENTS = """
INSERT INTO standin_documents (organization, kind, id, arrived, document)
SELECT organization, kind, id, arrived, document FROM standin_kept_documents
WHERE organization = %(organization)s AND snapshot = %(snapshot)s
"""

BRING_BACK_PLACES = """
INSERT INTO standin_places (organization, kind, list, place)
SELECT organization, kind, list, place FROM standin_kept_places
WHERE organization = %(organization)s AND snapshot = %(snapshot)s
"""

FORGET_DOCUMENTS = """
DELETE FROM standin_kept_documents WHERE organization = %(organization)s AND snapshot = %(snapshot)s
"""

FORGET_PLACES = """
DELETE FROM standin_kept_places WHERE organization = %(organization)s AND snapshot = %(snapshot)s
"""

KEPT_BYTES = """
SELECT coalesce(sum(octet_length(document::text)), 0) FROM standin_kept_documents
WHERE organization = %(organization)s AND snapshot = %(snapshot)s
"""

# Of no organization: what the service as a whole needs to start, and the operator to look after it.

OF_ALL = {
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
    # In the order in which a transaction comes to them: so neither waits for the other in a circle.
    "no more writes": "LOCK TABLE standin_documents, standin_places, standin_organizations IN EXCLUSIVE MODE",
    "no more snapshots": "LOCK TABLE standin_snapshots IN SHARE ROW EXCLUSIVE MODE",
    "is new": "SELECT to_regclass('standin_facts') IS NULL",
    "facts": "SELECT name, fact FROM standin_facts",
    "note fact": (
        "INSERT INTO standin_facts (name, fact) VALUES (%(name)s, %(fact)s) "
        "ON CONFLICT (name) DO UPDATE SET fact = excluded.fact"
    ),
    "organizations": "SELECT organization FROM standin_organizations ORDER BY arrived, organization",
    "snapshots": "SELECT name, facts FROM standin_snapshots ORDER BY name",
    "name snapshot": "INSERT INTO standin_snapshots (name, facts) VALUES (%(name)s, %(facts)s)",
    "forget snapshot": "DELETE FROM standin_snapshots WHERE name = %(name)s",
}
