"""The operations of the control plane: a few lines each, above rules that are in `records/` and below."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from control import schemas
from control.faults import check_rule
from control.reset import empty_rows, seed_rows
from engines.errors import EngineError, Unavailable
from engines.saved import Saved
from engines.table import Record
from records.clocks import REAL, Clock, advance, frozen, shifted, time_by
from records.errors import Conflict, NotFound
from records.faults import new_rule
from records.history import change_view
from records.keys import public_id_of
from records.organizations import organization_view
from records.tables import ALL
from records.times import epoch_milliseconds, milliseconds
from schemas import Nothing
from start import Rooms, free_snapshots, freeing
from store import Store, influencer_view
from web.operations import Operations
from web.request_log import FILTERS, RequestLog, entry_view

operations = Operations()

DISTRIBUTION = "layers-stand-in"
COUNTED = ("organizations", "projects", "influencers", "assets", "jobs", "api_keys")

_ROOT = "/_standin"


class Command(NamedTuple):
    """What an operation of the control plane is handed."""

    rooms: Rooms
    log: RequestLog
    api: Operations
    body: Any
    base_url: Callable[[], str]

    @property
    def store(self) -> Store:
        return self.rooms.store

    @property
    def scope(self) -> str:
        """Return the organization that this is about, or ALL. Raises NotFound."""
        organization = self.body.get("organizationId")
        return ALL if organization is None else str(self.store.organizations.get(organization)["id"])


def _whose(scope: str) -> str | None:
    return None if scope == ALL else scope


# The store as a whole


@operations.add("GET", f"{_ROOT}/health", scope=None)
def get_health(command: Command) -> Record:
    """Say that the store takes reads and writes, by what, and how much is in it."""
    command.store.db.probe()
    counts = dict.fromkeys(COUNTED, 0)
    for table, partition in command.store.db.tables():
        if table in counts:
            counts[table] += command.store.db.count(table, partition)
    engine = type(command.store.db).__name__.lower()
    return {"status": "ready", "version": version(DISTRIBUTION), "engine": engine, "counts": counts}


@operations.add("POST", f"{_ROOT}/reset", scope=None, body=schemas.Reset(), body_optional=True)
def reset(command: Command) -> Record:
    """Put everything back to the seed, or to nothing: data, clocks, faults, and the request log."""
    seed = command.rooms.settings.seed
    to = command.body.get("to", "seed" if seed is not None else "empty")
    if to == "seed" and seed is None:
        raise Conflict("There is no seed: STANDIN_SEED is none.", subcode="NO_SEED")
    with command.store.db.exclusive(), freeing(command.rooms):
        rows = seed_rows(seed, command.rooms) if to == "seed" and seed is not None else []
        command.store.db.replace_all(empty_rows(command.store) + rows)
    command.log.clear(ALL)
    return {"reset": True, "to": to}


# Snapshots


@operations.add("POST", f"{_ROOT}/snapshots", scope=None, body=schemas.SnapshotCreate(), success=201)
def create_snapshot(command: Command) -> Record:
    """Keep the state of this moment, media included, under a name; what had the name before is replaced."""
    name = command.body["name"]
    with command.store.db.exclusive(), _freeing_snapshots(command):
        with command.store.db.saving(name, {"at": milliseconds(command.store.now())}) as snapshot_id:
            command.rooms.media.keep(snapshot_id)  # after the documents, so that none of them lacks its bytes
        return _snapshot_view(_snapshot(command.store, name))


@operations.add("GET", f"{_ROOT}/snapshots", scope=None)
def list_snapshots(command: Command) -> Record:
    """Return the snapshots by name."""
    return {"items": [_snapshot_view(saved) for saved in command.store.db.saved()]}


@operations.add("POST", f"{_ROOT}/snapshots/<name>/restore", scope=None, body=Nothing(), body_optional=True)
def restore_snapshot(command: Command, name: str) -> Record:
    """Put everything back to a snapshot; it can be restored again."""
    with command.store.db.exclusive(), freeing(command.rooms):
        command.rooms.media.bring_back(_snapshot(command.store, name).snapshot_id)
        command.store.db.restore(name)
    return {"name": name, "restored": True}


@operations.add("DELETE", f"{_ROOT}/snapshots/<name>", scope=None, body=Nothing(), body_optional=True)
def delete_snapshot(command: Command, name: str) -> Record:
    """Forget a snapshot."""
    with command.store.db.exclusive(), _freeing_snapshots(command):
        _snapshot(command.store, name)
        command.store.db.forget(name)
    return {"name": name, "deleted": True}


@contextmanager
def _freeing_snapshots(command: Command) -> Iterator[None]:
    """Drop the media of snapshots that are gone after the block, or were not finished; a later sweep may have to."""
    try:
        yield
    finally:
        with suppress(OSError, EngineError):
            free_snapshots(command.rooms)


def _snapshot(store: Store, name: str) -> Saved:
    for saved in store.db.saved():
        if saved.name == name:
            return saved
    raise NotFound("Snapshot not found.")


def _snapshot_view(saved: Saved) -> Record:
    return {"name": saved.name, "at": saved.facts.get("at"), "documents": saved.documents, "bytes": saved.bytes}


# Organizations


@operations.add(
    "POST",
    f"{_ROOT}/organizations",
    scope=None,
    body=schemas.OrganizationCreate(),
    body_optional=True,
    success=201,
    secret=True,
)
def create_organization(command: Command) -> Record:
    """Make an organization with a key of its own; the one time the key is seen."""
    with command.store.db.transaction():
        organization = command.store.within(ALL).organizations.create(command.body.get("name", "Organization"))
        key = _create_key(command, organization["id"])
    return organization_view(organization) | key


@operations.add("GET", f"{_ROOT}/organizations", scope=None)
def list_organizations(command: Command) -> Record:
    """Return all organizations."""
    return {"items": [organization_view(document) for document in command.store.organizations.all()]}


@operations.add("DELETE", f"{_ROOT}/organizations/<organization_id>", scope=None, body=Nothing(), body_optional=True)
def delete_organization(command: Command, organization_id: str) -> Record:
    """Drop an organization whole: its documents, pictures, keys, clock, faults, and entries of the request log."""
    with command.store.db.exclusive():
        command.store.organizations.get(organization_id)
        command.store.signing_key()  # for a store with nothing in it is filled from the seed at the next start
        command.store.organizations.drop(organization_id)
        with suppress(OSError, Unavailable):  # its documents are gone all the same: the next sweep takes what is left
            command.rooms.media.drop_organization(organization_id)
    command.log.clear(organization_id)
    return {"organizationId": organization_id, "deleted": True}


@operations.add(
    "POST",
    f"{_ROOT}/organizations/<organization_id>/keys",
    scope=None,
    body=schemas.KeyCreate(),
    body_optional=True,
    success=201,
    secret=True,
)
def create_key(command: Command, organization_id: str) -> Record:
    """Make another key of an organization; the one time it is seen."""
    return _create_key(command, command.store.organizations.get(organization_id)["id"])


def _create_key(command: Command, organization: str) -> Record:
    scopes, tier = command.body.get("scopes", ["*"]), command.body.get("rateLimitTier", "standard")
    name = command.body.get("name", "Control plane")
    text = command.store.within(organization).keys.create(organization, scopes, name, tier=tier)
    key = command.store.keys.find(public_id_of(text)) or {}
    return {"apiKeyId": key["apiKeyId"], "apiKey": text, "scopes": scopes, "rateLimitTier": tier}


# The clock


@operations.add("GET", f"{_ROOT}/clock", scope=None, query=schemas.ScopeQuery())
def get_clock(command: Command) -> Record:
    """Say what time it is, for an organization or for all, and why."""
    return _clock_view(command.store, command.scope)


@operations.add("PUT", f"{_ROOT}/clock", scope=None, body=schemas.ClockSetting())
def set_clock(command: Command) -> Record:
    """Freeze, shift, advance, or let go the clock of an organization or of all."""
    with command.store.db.transaction():
        scope = command.scope
        clock = _set(_clock(command.store, scope), command.body, command.store.now())
        command.store.controls.change(scope, "clock", lambda _: clock)
        return _clock_view(command.store, scope)


@operations.add("DELETE", f"{_ROOT}/clock", scope=None, query=schemas.ScopeQuery(), body=Nothing(), body_optional=True)
def delete_clock(command: Command) -> Record:
    """Let an organization go by the clock of all again, or all by the real one."""
    with command.store.db.transaction():
        scope = command.scope
        command.store.controls.change(scope, "clock", lambda _: None)
        return _clock_view(command.store, scope)


def _clock(store: Store, scope: str) -> Clock:
    return store.controls.in_force(scope).clock


def _set(clock: Clock, body: Record, real: datetime) -> Record:
    """Return the clock that a judged body makes of one; frozen at no instant in particular, it stops where it is."""
    mode = body.get("mode")
    if mode is None:
        return advance(clock, body["advance"])
    if mode == "frozen":
        return frozen(body["at"] if "at" in body else epoch_milliseconds(time_by(clock, real)))
    return shifted(body["offset"]) if mode == "offset" else dict(REAL)


def _clock_view(store: Store, scope: str) -> Record:
    clock = _clock(store, scope)
    return {
        "organizationId": _whose(scope),
        "mode": clock["mode"],
        "now": milliseconds(time_by(clock, store.now())),
        "offsetMs": clock.get("offsetMs"),
        "inherited": scope != ALL and store.controls.own(scope, "clock") is None,
    }


# Faults


@operations.add("POST", f"{_ROOT}/faults", scope=None, body=schemas.FaultCreate(), success=201)
def create_fault(command: Command) -> Record:
    """Let requests go wrong, in one organization or in all."""
    check_rule(command.body, command.api)
    scope = command.scope
    rule = new_rule(command.body, command.store.within(scope).now())
    command.store.faults.add(scope, rule)
    return _fault_view(scope, rule)


@operations.add("GET", f"{_ROOT}/faults", scope=None, query=schemas.ScopeQuery())
def list_faults(command: Command) -> Record:
    """Return the faults of an organization, or those for all, oldest first, with how often each has struck."""
    scope = command.scope
    return {"items": [_fault_view(scope, rule) for rule in command.store.faults.of(scope)]}


@operations.add("DELETE", f"{_ROOT}/faults", scope=None, query=schemas.ScopeQuery(), body=Nothing(), body_optional=True)
def delete_faults(command: Command) -> Record:
    """Remove the faults of an organization, or those for all."""
    command.store.faults.clear(command.scope)
    return {"deleted": True}


@operations.add(
    "DELETE", f"{_ROOT}/faults/<fault_id>", scope=None, query=schemas.ScopeQuery(), body=Nothing(), body_optional=True
)
def delete_fault(command: Command, fault_id: str) -> Record:
    """Remove one fault."""
    command.store.faults.remove(command.scope, fault_id)
    return {"id": fault_id, "deleted": True}


def _fault_view(scope: str, rule: Record) -> Record:
    return {"id": rule["id"], "organizationId": _whose(scope)} | {key: rule[key] for key in rule if key != "id"}


# The request log


@operations.add("GET", f"{_ROOT}/requests", scope=None, query=schemas.RequestQuery())
def list_requests(command: Command) -> Record:
    """Return what was asked of the API and answered, newest first, each with the command that asks it again."""
    wanted = {name: command.body[name] for name in FILTERS if name in command.body}
    if "organizationId" in wanted:
        wanted["organizationId"] = command.scope
    entries = command.log.newest(wanted, command.body["limit"])
    return {"items": [entry_view(entry, command.base_url()) for entry in entries]}


@operations.add("PUT", f"{_ROOT}/requests", scope=None, body=schemas.LogSetting())
def set_request_log(command: Command) -> Record:
    """Log the requests of an organization, or of all, or don't."""
    scope = command.scope
    command.store.controls.change(scope, "isLogged", lambda _: command.body["enabled"])
    return {"organizationId": _whose(scope), "enabled": command.body["enabled"]}


@operations.add(
    "DELETE", f"{_ROOT}/requests", scope=None, query=schemas.ScopeQuery(), body=Nothing(), body_optional=True
)
def delete_requests(command: Command) -> Record:
    """Empty the request log, for an organization or whole."""
    command.log.clear(command.scope)
    return {"deleted": True}


# History


@operations.add("GET", f"{_ROOT}/influencers/<influencer_id>/history", scope=None, query=schemas.ScopeQuery())
def get_history(command: Command, influencer_id: str) -> Record:
    """Return what happened to an influencer, archived or not, newest first."""
    document = _find_influencer(command, influencer_id)
    return {
        "influencerId": document["influencerId"],
        "organizationId": document["organizationId"],
        "isArchived": document["is_archived"],
        "deletion": document["attributes"].get("deletion"),
        "influencer": influencer_view(document, command.base_url),
        "changes": [change_view(change) for change in command.store.history.of(document)],
    }


def _find_influencer(command: Command, influencer_id: str) -> Record:
    """Return the influencer with this id, of the organization said or else of any. Raises NotFound, Conflict."""
    scope = command.scope
    scopes = [found["id"] for found in command.store.organizations.all()] if scope == ALL else [scope]
    documents = [command.store.tables.get("influencers", organization, influencer_id) for organization in scopes]
    found = [document for document in documents if document is not None]
    if len(found) > 1:
        raise Conflict("Several organizations have an influencer of this id: say organizationId.", subcode="AMBIGUOUS")
    if not found:
        raise NotFound("Influencer not found.")
    return command.store.within(found[0]["organizationId"]).any_influencer(found[0]["organizationId"], influencer_id)
