"""The control plane, `/_standin`, as a part of the document."""

from collections.abc import Sequence
from typing import Any

from layers_standin.openapi.control_responses import RESPONSES, SCHEMAS
from layers_standin.openapi.descriptions import describe_operation
from layers_standin.openapi.document import JSON, FileRoute, OperationDocs, Section, path_parameter
from layers_standin.openapi.examples import PATH_IDS
from layers_standin.openapi.headers import response_headers
from layers_standin.openapi.json_schema import ref
from layers_standin.web.operations import Operation

STATE, ORGANIZATIONS, CLOCK = "Control: state", "Control: organizations", "Control: clock"
FAULTS, REQUESTS = "Control: faults", "Control: requests and history"
WEBHOOKS = "Control: webhooks"

_SECURITY_SCHEMES: dict[str, Any] = {"ControlToken": {"type": "http", "scheme": "bearer"}}

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
    "set_credits": OperationDocs(ORGANIZATIONS, "CreditsSet"),
    "get_clock": OperationDocs(CLOCK, "Clock"),
    "set_clock": OperationDocs(CLOCK, "Clock"),
    "delete_clock": OperationDocs(CLOCK, "Clock"),
    "create_fault": OperationDocs(FAULTS, "FaultCreated", errors=["TooManyFaults"], gives={"faultId": "/id"}),
    "list_faults": OperationDocs(FAULTS, "FaultList", gives={"faultId": "/items/0/id"}),
    "list_fault_presets": OperationDocs(FAULTS, "FaultPresetList", never=["Unavailable"]),
    "delete_faults": OperationDocs(FAULTS, "Deleted"),
    "delete_fault": OperationDocs(FAULTS, "FaultDeleted"),
    "list_requests": OperationDocs(REQUESTS, "LoggedRequestsFound"),
    "set_request_log": OperationDocs(REQUESTS, "LogSwitched"),
    "delete_requests": OperationDocs(REQUESTS, "Deleted"),
    "set_social_account": OperationDocs(FAULTS, "SocialAccountSet", gives={"socialAccountId": "/socialAccountId"}),
    "list_webhooks": OperationDocs(WEBHOOKS, "PendingWebhookList"),
    "flush_webhooks": OperationDocs(WEBHOOKS, "WebhooksFlushed", errors=["FlushTimedOut"]),
    "send_webhook_test": OperationDocs(WEBHOOKS, "DeliverySent", errors=["EndpointIsPaused"]),
    "set_webhook_endpoint": OperationDocs(WEBHOOKS, "EndpointSet", gives={"webhookEndpointId": "/id"}),
    "resend_webhook_delivery": OperationDocs(WEBHOOKS, "DeliverySent", errors=["EndpointIsPaused"]),
    "get_inbox": OperationDocs(WEBHOOKS, "Inbox"),
    "delete_inbox": OperationDocs(WEBHOOKS, "InboxEmptied"),
    "get_history": OperationDocs(REQUESTS, "History", errors=["AmbiguousId"]),
}

_POSTED: dict[str, Any] = {
    "operationId": "postToInbox",
    "summary": "Keep a message in an inbox",
    "description": describe_operation("postToInbox"),
    "tags": [WEBHOOKS],
    "security": [{}, {"ControlToken": []}],
    "parameters": [path_parameter("inbox", PATH_IDS["inbox"][1])],
    "requestBody": {"content": {JSON: {"schema": {}, "examples": {"a message": {"value": {"hello": "inbox"}}}}}},
    "responses": {
        "200": {
            "description": "OK",
            "headers": response_headers(200, "write-light", limited=False, replays=False),
            "content": {
                JSON: {"schema": ref("MessageReceived"), "examples": {"MessageReceived": {"value": {"received": True}}}}
            },
        }
    },
}
_ROUTES = {
    "/_standin/inbox/{inbox}": FileRoute(
        "post",
        _POSTED,
        ["NoControlToken", "NotFromHere", "NotFound", "PayloadTooLarge", "Internal", "Unavailable"],
    ),
}


def control_plane(operations: Sequence[Operation]) -> Section:
    """Return the operations under `/_standin`: open on this machine, else with the control token."""
    return Section(
        operations=operations,
        docs=DOCS,
        responses=RESPONSES,
        schemas=SCHEMAS,
        security=lambda _: [{}, {"ControlToken": []}],
        security_schemes=_SECURITY_SCHEMES,
        errors=["NoControlToken", "NotFromHere", "Invalid", "NotFound", "Internal", "Unavailable"],
        routes=_ROUTES,
        idempotent=False,
    )
