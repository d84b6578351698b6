"""The control plane, `/_standin`, as a part of the document."""

from collections.abc import Sequence
from typing import Any

from layers_standin.openapi import control_examples as examples
from layers_standin.openapi.control_responses import CONTROL_SCHEMAS
from layers_standin.openapi.document import OperationDocs, OperationLike, PathParameter, Reply, Section
from layers_standin.openapi.examples import AVA, NOTHING, ORGANIZATION

STATE, ORGANIZATIONS, CLOCK = "Control: state", "Control: organizations", "Control: clock"
FAULTS, REQUESTS = "Control: faults", "Control: requests and history"

TAGS = {
    STATE: "The stand-in's own: whether it is ready, resets, snapshots.",
    ORGANIZATIONS: "One with a key of its own for each test.",
    CLOCK: "What time it is, for one organization or for all.",
    FAULTS: "What goes wrong, for one organization or for all.",
    REQUESTS: "What clients asked and were answered, and what became of an influencer.",
}

_ABOUT = (
    "What `STANDIN_CONTROL` is set to. Without it, whoever calls from this machine may command, and nobody else; "
    "with `off` every path of the control plane is a 404."
)
_SECURITY_SCHEMES: dict[str, Any] = {"ControlToken": {"type": "http", "scheme": "bearer", "description": _ABOUT}}

_THINGS = {
    "name": PathParameter("Snapshot", examples.SNAPSHOT),
    "organizationId": PathParameter("Organization", ORGANIZATION),
    "faultId": PathParameter("Fault", examples.FAULT),
    "influencerId": PathParameter("Influencer", AVA),
}

NOTES: dict[str, OperationDocs] = {
    "get_health": OperationDocs(STATE, Reply("Health", examples.HEALTH)),
    "reset": OperationDocs(STATE, Reply("ResetDone", examples.RESET_DONE), examples.RESET, refusals=["NoSeed"]),
    "create_snapshot": OperationDocs(
        STATE, Reply("Snapshot", examples.SNAPSHOT_VIEW), examples.CREATE_SNAPSHOT, gives={"name": "/name"}
    ),
    "list_snapshots": OperationDocs(
        STATE, Reply("SnapshotList", examples.SNAPSHOT_LIST), gives={"name": "/items/0/name"}
    ),
    "restore_snapshot": OperationDocs(STATE, Reply("SnapshotRestored", examples.SNAPSHOT_RESTORED), NOTHING),
    "delete_snapshot": OperationDocs(STATE, Reply("SnapshotDeleted", examples.SNAPSHOT_DELETED), NOTHING),
    "create_organization": OperationDocs(
        ORGANIZATIONS,
        Reply("OrganizationCreated", examples.ORGANIZATION_CREATED),
        examples.CREATE_ORGANIZATION,
        gives={"organizationId": "/organizationId"},
    ),
    "list_organizations": OperationDocs(
        ORGANIZATIONS,
        Reply("OrganizationList", examples.ORGANIZATION_LIST),
        gives={"organizationId": "/items/0/organizationId"},
    ),
    "delete_organization": OperationDocs(
        ORGANIZATIONS, Reply("OrganizationDeleted", examples.ORGANIZATION_DELETED), NOTHING
    ),
    "create_key": OperationDocs(ORGANIZATIONS, Reply("KeyCreated", examples.KEY_CREATED), examples.CREATE_KEY),
    "get_clock": OperationDocs(CLOCK, Reply("Clock", examples.CLOCK)),
    "set_clock": OperationDocs(CLOCK, Reply("Clock", examples.CLOCK), examples.SET_CLOCK),
    "delete_clock": OperationDocs(CLOCK, Reply("Clock", examples.CLOCK), NOTHING),
    "create_fault": OperationDocs(
        FAULTS,
        Reply("Fault", examples.FAULT_VIEW),
        examples.CREATE_FAULT,
        refusals=["TooManyFaults"],
        gives={"faultId": "/id"},
    ),
    "list_faults": OperationDocs(FAULTS, Reply("FaultList", examples.FAULT_LIST), gives={"faultId": "/items/0/id"}),
    "delete_faults": OperationDocs(FAULTS, Reply("Deleted", examples.DELETED), NOTHING),
    "delete_fault": OperationDocs(FAULTS, Reply("FaultDeleted", examples.FAULT_DELETED), NOTHING),
    "list_requests": OperationDocs(REQUESTS, Reply("LoggedRequestList", examples.REQUEST_LIST)),
    "set_request_log": OperationDocs(REQUESTS, Reply("LogSwitched", examples.LOG_SWITCHED), examples.SET_LOG),
    "delete_requests": OperationDocs(REQUESTS, Reply("Deleted", examples.DELETED), NOTHING),
    "get_history": OperationDocs(REQUESTS, Reply("History", examples.HISTORY), refusals=["AmbiguousId"]),
}


def control_plane(operations: Sequence[OperationLike]) -> Section:
    """Return the operations under `/_standin`: open on this machine, else with the control token."""
    return Section(
        operations=operations,
        notes=NOTES,
        tags=TAGS,
        schemas=CONTROL_SCHEMAS,
        security=lambda _: [{}, {"ControlToken": []}],
        security_schemes=_SECURITY_SCHEMES,
        refusals=["NoControlToken", "NotFromHere", "Invalid", "NotFound", "Internal", "Unavailable"],
        things=_THINGS,
        idempotent=False,
    )
