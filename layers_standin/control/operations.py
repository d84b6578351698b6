"""The operations of the control plane: a few lines each, above the rules in `layers_standin/domain/`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from importlib.metadata import version
from inspect import getdoc

from layers_standin.control import schemas, webhooks
from layers_standin.control.calls import ControlCall, scope_of, whose
from layers_standin.control.faults import check_key, check_operation, check_rule
from layers_standin.control.presets import PRESETS
from layers_standin.control.reset import reset_store
from layers_standin.control.unread import unread_of
from layers_standin.domain.clocks import REAL, Clock, advance, frozen, shifted, time_by
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.faults import new_rule, whole_rule
from layers_standin.domain.history import change_view
from layers_standin.domain.ids import canonical
from layers_standin.domain.keys import public_id_of
from layers_standin.domain.organizations import organization_view
from layers_standin.domain.social import REAUTH_REQUIRED, account_view
from layers_standin.domain.tables import ALL
from layers_standin.domain.times import epoch_milliseconds, milliseconds
from layers_standin.engines.errors import EngineError, Unavailable
from layers_standin.engines.snapshots import Snapshot
from layers_standin.engines.table import Record
from layers_standin.housekeeping import discarding_unreferenced, free_snapshots
from layers_standin.web.logs.requests import FILTERS, entry_view
from layers_standin.web.operations import Operation, Operations
from layers_standin.webhooks.lease import DELIVERER, free
from schemas import EmptyBody
from store import Store, influencer_view

operations = Operations()

DISTRIBUTION = "layers-stand-in"
COUNTED = ("organizations", "projects", "influencers", "assets", "jobs", "api_keys")

_get = partial(operations.add, "GET", scope=None)
_put = partial(operations.add, "PUT", scope=None)
_post = partial(operations.add, "POST", scope=None)
_create = partial(_post, success=201)
_delete = partial(operations.add, "DELETE", scope=None, body=EmptyBody(), body_optional=True)


@_get("/_standin")
def get_index(call: ControlCall) -> Record:
    """Return the commands of the control plane, and the addresses of the pages for people."""
    base = call.base_url()
    return {
        "console": f"{base}/console" if call.services.settings.has_console else None,
        "docs": f"{base}/docs",
        "openapi": f"{base}/openapi.json",
        "commands": [_command_view(operation) for operation in operations],
    }


def _command_view(operation: Operation) -> Record:
    from layers_standin.openapi.document import openapi_path  # noqa: PLC0415 - few ask

    summary = (getdoc(operation.handler) or "").partition("\n")[0]
    return {"method": operation.method, "path": openapi_path(operation.path), "summary": summary}


# The store as a whole


@_get("/_standin/health")
def get_health(call: ControlCall) -> Record:
    """Check that the store takes reads and writes, and return its engine and the number of its documents."""
    call.store.db.probe()
    counts = dict(zip(COUNTED, call.store.db.count_all(COUNTED), strict=True))
    engine = type(call.store.db).__name__.lower()
    return {"status": "ready", "version": version(DISTRIBUTION), "engine": engine, "counts": counts}


@_post("/_standin/reset", body=schemas.Reset(), body_optional=True)
def reset(call: ControlCall) -> Record:
    """Reset data, clocks, faults and the request log to the seed, or to nothing."""
    to = reset_store(call.services, call.body.get("to"))
    call.log.clear(ALL)
    return {"reset": True, "to": to}


# Snapshots


@_create("/_standin/snapshots", body=schemas.SnapshotCreate())
def create_snapshot(call: ControlCall) -> Record:
    """Save the present state, media included, under a name; a snapshot of that name is replaced."""
    name = call.body["name"]
    with call.store.db.exclusive(), _deleting_unused_media(call):
        with call.store.db.create_snapshot(name, {"at": milliseconds(call.store.now())}) as snapshot_id:
            # After the documents, so that none of them lacks its bytes.
            call.services.media.create_snapshot(snapshot_id)
        return _snapshot_view(_snapshot(call.store, name))


@_get("/_standin/snapshots")
def list_snapshots(call: ControlCall) -> Record:
    """Return the snapshots by name."""
    return {"items": [_snapshot_view(saved) for saved in call.store.db.list_snapshots()]}


@_post("/_standin/snapshots/<name>/restore", body=EmptyBody(), body_optional=True)
def restore_snapshot(call: ControlCall, name: str) -> Record:
    """Replace everything by a snapshot; it can be restored again."""
    with call.store.db.exclusive(), discarding_unreferenced(call.services):
        call.services.media.restore_snapshot(_snapshot(call.store, name).snapshot_id)
        call.store.db.restore_snapshot(name)
        free(call.store, DELIVERER)
    return {"name": name, "restored": True}


@_delete("/_standin/snapshots/<name>")
def delete_snapshot(call: ControlCall, name: str) -> Record:
    """Delete a snapshot."""
    with call.store.db.exclusive(), _deleting_unused_media(call):
        _snapshot(call.store, name)
        call.store.db.delete_snapshot(name)
    return {"name": name, "deleted": True}


@contextmanager
def _deleting_unused_media(call: ControlCall) -> Iterator[None]:
    """Delete the media of snapshots that the block deletes or leaves unfinished; if this fails, a later sweep does."""
    try:
        yield
    finally:
        with suppress(OSError, EngineError):
            free_snapshots(call.services)


def _snapshot(store: Store, name: str) -> Snapshot:
    for saved in store.db.list_snapshots():
        if saved.name == name:
            return saved
    raise NotFound("Snapshot not found.")


def _snapshot_view(saved: Snapshot) -> Record:
    return {"name": saved.name, "at": saved.facts["at"], "documents": saved.documents, "bytes": saved.bytes}


# Organizations


@_create("/_standin/organizations", body=schemas.OrganizationCreate(), body_optional=True, secret=True)
def create_organization(call: ControlCall) -> Record:
    """Create an organization with a key; only this response shows the key."""
    with call.store.db.transaction():
        organization = call.store.for_organization(ALL).organizations.create(call.body.get("name", "Organization"))
        key = _create_key(call, organization["id"])
    return organization_view(organization) | key


@_get("/_standin/organizations")
def list_organizations(call: ControlCall) -> Record:
    """Return all organizations."""
    return {"items": [organization_view(document) for document in call.store.organizations.all()]}


@_delete("/_standin/organizations/<organization_id>")
def delete_organization(call: ControlCall, organization_id: str) -> Record:
    """Delete an organization: its documents, pictures, keys, clock, faults, and entries of the request log."""
    with call.store.db.exclusive():
        call.store.organizations.get(organization_id)
        call.store.signing_key()  # for a store with nothing in it is filled from the seed at the next start
        call.store.organizations.drop(organization_id)
        with suppress(OSError, Unavailable):  # its documents are gone all the same: the next sweep removes the rest
            call.services.media.drop_organization(organization_id)
    call.log.clear(organization_id)
    return {"organizationId": organization_id, "deleted": True}


@_create("/_standin/organizations/<organization_id>/keys", body=schemas.KeyCreate(), body_optional=True, secret=True)
def create_key(call: ControlCall, organization_id: str) -> Record:
    """Create another key of an organization; only this response shows it."""
    return _create_key(call, call.store.organizations.get(organization_id)["id"])


def _create_key(call: ControlCall, organization: str) -> Record:
    scopes, tier = call.body.get("scopes", ["*"]), call.body.get("rateLimitTier", "standard")
    name = call.body.get("name", "Control plane")
    text = call.store.for_organization(organization).keys.create(scopes, name, tier=tier)
    key = call.store.keys.find(public_id_of(text)) or {}
    return {"apiKeyId": key["apiKeyId"], "apiKey": text, "scopes": scopes, "rateLimitTier": tier}


@_put("/_standin/credits", body=schemas.CreditsSetting())
def set_credits(call: ControlCall) -> Record:
    """Set the credits of an organization, or of each."""
    scope, balance = scope_of(call), call.body["balance"]
    everyone = [document["id"] for document in call.store.organizations.all()]
    with call.store.db.transaction():
        for organization in everyone if scope == ALL else [scope]:
            call.store.for_organization(organization).organizations.set_balance(organization, balance)
    return {"organizationId": whose(scope), "balance": balance}


# The clock


@_get("/_standin/clock", query=schemas.ScopeQuery())
def get_clock(call: ControlCall) -> Record:
    """Return the time and the clock's mode, for an organization or for all."""
    return _clock_view(call.store, scope_of(call))


@_put("/_standin/clock", body=schemas.ClockSetting())
def set_clock(call: ControlCall) -> Record:
    """Freeze, shift, advance, or reset the clock of an organization or of all."""
    return _change_clock(call, lambda clock: _new_clock(clock, call.body, call.store.now()))


@_delete("/_standin/clock", query=schemas.ScopeQuery())
def delete_clock(call: ControlCall) -> Record:
    """Remove an organization's own clock, so that the one of all applies; or that of all, so that the real one does."""
    return _change_clock(call, lambda _: None)


def _change_clock(call: ControlCall, change: Callable[[Clock], Clock | None]) -> Record:
    """Replace a clock by `change(the clock that applies now)`; None removes the setting."""
    with call.store.db.transaction():
        scope = scope_of(call)
        clock = change(call.store.controls.effective(scope).clock)
        call.store.controls.change(scope, "clock", lambda _: clock)
        return _clock_view(call.store, scope)


def _new_clock(clock: Clock, body: Record, real: datetime) -> Clock:
    """Return the clock that a validated body makes of one; frozen without an instant, it stops at its present time."""
    mode = body.get("mode")
    if mode is None:
        return advance(clock, body["advance"])
    if mode == "frozen":
        return frozen(body["at"] if "at" in body else epoch_milliseconds(time_by(clock, real)))
    return shifted(body["offset"]) if mode == "offset" else dict(REAL)


def _clock_view(store: Store, scope: str) -> Record:
    clock = store.controls.effective(scope).clock
    return {
        "organizationId": whose(scope),
        "mode": clock["mode"],
        "now": milliseconds(time_by(clock, store.now())),
        "offsetMs": clock.get("offsetMs"),
        "inherited": scope != ALL and store.controls.own(scope, "clock") is None,
    }


# Faults


@_create("/_standin/faults", body=schemas.FaultCreate())
def create_fault(call: ControlCall) -> Record:
    """Make requests fail, in one organization or in all; by a rule, or by the rules of a preset."""
    scope, preset = scope_of(call), call.body.get("preset")
    bodies = [call.body] if preset is None else [_of_preset(preset, rule) for rule in PRESETS[preset].rules]
    for body in bodies:
        check_rule(body, call.api)
        if "keyId" in body["match"]:
            check_key(body["match"]["keyId"], scope, call.store)
    rules = [new_rule(body, call.store.for_organization(scope).now()) for body in bodies]
    call.store.faults.add(scope, *rules)
    views = [_fault_view(scope, rule) for rule in rules]
    return views[0] if preset is None else {"items": views}


def _of_preset(name: str, rule: Record) -> Record:
    return {"preset": name, "match": {}} | rule


@_get("/_standin/fault-presets")
def list_fault_presets(call: ControlCall) -> Record:
    """Return the presets of faults, each with its rules as createFault takes them."""
    return {"items": [{"name": name, **preset._asdict()} for name, preset in PRESETS.items()]}


@_get("/_standin/faults", query=schemas.ScopeQuery())
def list_faults(call: ControlCall) -> Record:
    """Return the faults of an organization, or those for all, oldest first, with how often each has struck."""
    scope = scope_of(call)
    return {"items": [_fault_view(scope, rule) for rule in call.store.faults.of(scope)]}


@_delete("/_standin/faults", query=schemas.ScopeQuery())
def delete_faults(call: ControlCall) -> Record:
    """Remove the faults of an organization, or those for all."""
    call.store.faults.clear(scope_of(call))
    return {"deleted": True}


@_delete("/_standin/faults/<fault_id>", query=schemas.ScopeQuery())
def delete_fault(call: ControlCall, fault_id: str) -> Record:
    """Remove one fault."""
    call.store.faults.remove(scope_of(call), fault_id)
    return {"id": fault_id, "deleted": True}


def _fault_view(scope: str, rule: Record) -> Record:
    return {"id": rule["id"], "organizationId": whose(scope)} | whole_rule(rule)


# Social accounts


@_put("/_standin/social-accounts/<social_account_id>", body=schemas.SocialAccountSetting())
def set_social_account(call: ControlCall, social_account_id: str) -> Record:
    """Let a social account need a new consent, or be connected again; queued posts of one in need will fail."""
    found = call.store.db.read_each("social_accounts", canonical(social_account_id))
    if not found:
        raise NotFound("Social account not found.")
    store, status = call.store.for_organization(found[0]["organizationId"]), call.body["status"]
    with store.db.transaction():
        account = store.social.set_status(social_account_id, status)
        store.posts.set_reauth(social_account_id, status == REAUTH_REQUIRED)
    return {"organizationId": store.organization} | account_view(account, store.now(), call.base_url())


# The request log


@_get("/_standin/requests", query=schemas.RequestQuery())
def list_requests(call: ControlCall) -> Record:
    """Return the newest requests and responses of the API, newest first, or with `count` the number of them."""
    wanted = {name: call.body[name] for name in FILTERS if name in call.body}
    if "operation" in wanted:
        check_operation(wanted["operation"], call.api)
    if "organizationId" in wanted:
        wanted["organizationId"] = scope_of(call)
    unread = partial(_unread, {operation.name: operation for operation in call.api})
    entries = call.log.newest(wanted)
    if "unread" in call.body:
        entries = [entry for entry in entries if bool(unread(entry)) == call.body["unread"]]
    if call.body.get("count"):
        return {"count": len(entries)}
    base_url, shown = call.base_url(), entries[: call.body["limit"]]
    return {"items": [entry_view(entry, base_url) | {"unread": unread(entry)} for entry in shown]}


def _unread(named: Mapping[str, Operation], entry: Record) -> list[Record]:
    return unread_of(entry, named.get(entry["operation"]))


@_put("/_standin/requests", body=schemas.LogSetting())
def set_request_log(call: ControlCall) -> Record:
    """Switch the request log on or off, for an organization or for all."""
    scope = scope_of(call)
    call.store.controls.change(scope, "isLogged", lambda _: call.body["enabled"])
    return {"organizationId": whose(scope), "enabled": call.body["enabled"]}


@_delete("/_standin/requests", query=schemas.ScopeQuery())
def delete_requests(call: ControlCall) -> Record:
    """Empty the request log, for an organization or whole."""
    call.log.clear(scope_of(call))
    return {"deleted": True}


# History


@_get("/_standin/influencers/<influencer_id>/history", query=schemas.ScopeQuery())
def get_history(call: ControlCall, influencer_id: str) -> Record:
    """Return the changes of an influencer, archived or not, newest first."""
    document = _find_influencer(call, influencer_id)
    store = call.store.for_organization(document["organizationId"])
    return {
        "influencerId": document["influencerId"],
        "organizationId": document["organizationId"],
        "isArchived": document["is_archived"],
        "deletion": document["attributes"].get("deletion"),
        "influencer": influencer_view(document, call.base_url),
        "changes": [change_view(change) for change in store.history.of(document)],
    }


def _find_influencer(call: ControlCall, influencer_id: str) -> Record:
    """Return the influencer with this id, of the requested organization or of any. Raises NotFound, Conflict."""
    scope = scope_of(call)
    if scope == ALL:
        found = call.store.db.read_each("influencers", canonical(influencer_id))
        if len(found) > 1:
            message = "Several organizations have an influencer of this id: say organizationId."
            raise Conflict(message, subcode="AMBIGUOUS")
        scope = found[0]["organizationId"] if found else ALL
    return call.store.for_organization(scope).any_influencer(influencer_id)


operations += webhooks.operations
