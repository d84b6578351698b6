"""The call of a command of the control plane, and the organization that it is for."""

from dataclasses import dataclass, field

from layers_standin.domain.tables import ALL
from layers_standin.web.logs.requests import RequestLog
from layers_standin.web.operations import Call, Operations


@dataclass(slots=True)
class ControlCall(Call):
    """The call of an operation of the control plane: with the request log, and the operations of the API."""

    log: RequestLog = field(kw_only=True)
    api: Operations = field(kw_only=True)


def scope_of(call: ControlCall) -> str:
    """Return the organization that a command names, or ALL. Raises NotFound."""
    organization = call.body.get("organizationId")
    return ALL if organization is None else str(call.store.organizations.get(organization)["id"])


def whose(scope: str) -> str | None:
    return None if scope == ALL else scope
