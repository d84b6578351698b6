"""The control plane, `/_standin`, as a part of the document."""

from collections.abc import Sequence
from typing import Any

from layers_standin.openapi import examples
from layers_standin.openapi.control_responses import RESPONSES, SCHEMAS
from layers_standin.openapi.document import OperationDocs, PathParameter, Section
from layers_standin.web.operations import Operation

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

_PARAMETERS = {
    "name": PathParameter("Snapshot", examples.SNAPSHOT),
    "organizationId": PathParameter("Organization", examples.ORGANIZATION),
    "faultId": PathParameter("Fault", examples.FAULT),
    "influencerId": PathParameter("Influencer", examples.AVA),
}

DOCS: dict[str, OperationDocs] = {
    "get_index": OperationDocs(STATE, "Index", never=["Unavailable"]),
    "get_health": OperationDocs(STATE, "Health"),
    "reset": OperationDocs(STATE, "ResetDone", errors=["NoSeed"]),
    "create_snapshot": OperationDocs(STATE, "Snapshot", gives={"name": "/name"}),
    "list_snapshots": OperationDocs(STATE, "SnapshotList", gives={"name": "/items/0/name"}),
    "restore_snapshot": OperationDocs(STATE, "SnapshotRestored"),
    "delete_snapshot": OperationDocs(STATE, "SnapshotDeleted"),
    "create_organization": OperationDocs(
        ORGANIZATIONS, "OrganizationCreated", gives={"organizationId": "/organizationId"}
    ),
    "list_organizations": OperationDocs(
        ORGANIZATIONS, "OrganizationList", gives={"organizationId": "/items/0/organizationId"}
    ),
    "delete_organization": OperationDocs(ORGANIZATIONS, "OrganizationDeleted"),
    "create_key": OperationDocs(ORGANIZATIONS, "KeyCreated"),
    "get_clock": OperationDocs(CLOCK, "Clock"),
    "set_clock": OperationDocs(CLOCK, "Clock"),
    "delete_clock": OperationDocs(CLOCK, "Clock"),
    "create_fault": OperationDocs(FAULTS, "Fault", errors=["TooManyFaults"], gives={"faultId": "/id"}),
    "list_faults": OperationDocs(FAULTS, "FaultList", gives={"faultId": "/items/0/id"}),
    "delete_faults": OperationDocs(FAULTS, "Deleted"),
    "delete_fault": OperationDocs(FAULTS, "FaultDeleted"),
    "list_requests": OperationDocs(REQUESTS, "LoggedRequestList"),
    "set_request_log": OperationDocs(REQUESTS, "LogSwitched"),
    "delete_requests": OperationDocs(REQUESTS, "Deleted"),
    "get_history": OperationDocs(REQUESTS, "History", errors=["AmbiguousId"]),
}


def control_plane(operations: Sequence[Operation]) -> Section:
    """Return the operations under `/_standin`: open on this machine, else with the control token."""
    return Section(
        operations=operations,
        docs=DOCS,
        tags=TAGS,
        responses=RESPONSES,
        schemas=SCHEMAS,
        security=lambda _: [{}, {"ControlToken": []}],
        security_schemes=_SECURITY_SCHEMES,
        errors=["NoControlToken", "NotFromHere", "Invalid", "NotFound", "Internal", "Unavailable"],
        parameters=_PARAMETERS,
        idempotent=False,
    )
