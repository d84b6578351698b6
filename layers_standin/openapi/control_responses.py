"""The responses of the control plane as JSON Schema: exactly their fields, and no other."""

from layers_standin.openapi.responses import (
    API_KEY,
    FLAG,
    ID,
    MILLISECONDS,
    REQUEST_ID,
    SCHEMAS,
    SCOPE,
    TEXT,
    TIER,
    UUID,
    JsonSchema,
    constant,
    listed,
    minted,
    or_null,
    record,
    ref,
)

_COUNT: JsonSchema = {"type": "integer", "minimum": 0}
_SNAPSHOT: JsonSchema = {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"}
_MICROSECONDS: JsonSchema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$",
}
_WHOSE = or_null(UUID) | {"description": "Null for all organizations."}
_KEY: JsonSchema = {"apiKeyId": UUID, "apiKey": API_KEY, "scopes": listed(SCOPE), "rateLimitTier": TIER}
_ORGANIZATION: JsonSchema = {"organizationId": UUID, "name": TEXT, "createdAt": MILLISECONDS}

_DELETION: JsonSchema = record(
    reason=or_null(TEXT),
    apiKeyId=UUID,
    deletedAt=SCHEMAS["InfluencerDeleted"]["properties"]["deletedAt"],
)
_SHOWN: JsonSchema = {
    name: schema for name, schema in SCHEMAS["Influencer"]["properties"].items() if name != "updatedAt"
}
_REFERENCE: JsonSchema = record(
    **{name: SCHEMAS["ReferenceImage"]["properties"][name] for name in ("assetId", "addedAt")}
)
# Only the changed fields; all of them at the beginning.
_SOME_OF_INFLUENCER = record(_SHOWN | {"referenceImages": listed(_REFERENCE), "deletion": _DELETION})

CONTROL_SCHEMAS: dict[str, JsonSchema] = {
    "Health": record(
        status=constant("ready"),
        version=TEXT,
        engine=TEXT,
        counts=record(
            organizations=_COUNT, projects=_COUNT, influencers=_COUNT, assets=_COUNT, jobs=_COUNT, api_keys=_COUNT
        ),
    ),
    "ResetDone": record(reset=constant(True), to={"enum": ["seed", "empty"]}),
    "Snapshot": record(name=_SNAPSHOT, at=MILLISECONDS, documents=_COUNT, bytes=_COUNT),
    "SnapshotList": record(items=listed(ref("Snapshot"))),
    "SnapshotRestored": record(name=_SNAPSHOT, restored=constant(True)),
    "SnapshotDeleted": record(name=_SNAPSHOT, deleted=constant(True)),
    "Organization": record(**_ORGANIZATION),
    "OrganizationList": record(items=listed(ref("Organization"))),
    "OrganizationCreated": record(**_ORGANIZATION, **_KEY),
    "OrganizationDeleted": record(organizationId=UUID, deleted=constant(True)),
    "KeyCreated": record(**_KEY),
    "Clock": record(
        organizationId=_WHOSE,
        mode={"enum": ["real", "frozen", "offset"]},
        now=MILLISECONDS,
        offsetMs=or_null({"type": "integer"}),
        inherited=FLAG,
    ),
    "Fault": record(
        id=minted("fault"),
        organizationId=_WHOSE,
        match=ref("Match"),
        times=or_null({"type": "integer", "minimum": 1}) | {"description": "Null until it is removed."},
        answer=ref("Answer"),
        used=_COUNT,
        createdAt=MILLISECONDS,
    ),
    "FaultList": record(items=listed(ref("Fault"))),
    "FaultDeleted": record(id=minted("fault"), deleted=constant(True)),
    "Deleted": record(deleted=constant(True)),
    "LoggedRequest": record(
        requestId=REQUEST_ID,
        at=_MICROSECONDS,
        operation=or_null(TEXT),
        method=TEXT,
        path=TEXT,
        query=TEXT,
        status={"type": "integer", "minimum": 100, "maximum": 599},
        milliseconds={"type": "number", "minimum": 0},
        organizationId=or_null(UUID),
        keyId=or_null(TEXT),
        apiKeyId=or_null(UUID),
        idempotencyKey=or_null(TEXT),
        replayed=FLAG,
        faultId=or_null(TEXT),
        cut=FLAG,
        request=TEXT,
        response=TEXT,
        curl=or_null(TEXT),
    ),
    "LoggedRequestList": record(items=listed(ref("LoggedRequest"))),
    "LogSwitched": record(organizationId=_WHOSE, enabled=FLAG),
    "Change": record(
        revision={"type": "integer", "minimum": 1},
        at=MILLISECONDS,
        operation=or_null(TEXT),
        apiKeyId=or_null(UUID),
        requestId=or_null(TEXT),
        before=or_null(_SOME_OF_INFLUENCER),
        after=_SOME_OF_INFLUENCER,
    ),
    "History": record(
        influencerId=ID,
        organizationId=UUID,
        isArchived=FLAG,
        deletion=or_null(_DELETION),
        influencer=ref("Influencer"),
        changes=listed(ref("Change")),
    ),
}
