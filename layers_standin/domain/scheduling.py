"""The rules of scheduling content on social accounts: what may be posted where, and from when on."""

from collections.abc import Mapping, Sequence
from typing import Any

from layers_standin.domain.approvals import PENDING, REJECTED, approval_status, auto_ms
from layers_standin.domain.content import container_status
from layers_standin.domain.errors import ApprovalRequired, Conflict, ContentRejected, NotAcceptable
from layers_standin.domain.posts import MODES


def check_modes(targets: Sequence[Mapping[str, Any]], accounts: Sequence[Mapping[str, Any]]) -> None:
    """Raises NotAcceptable unless the mode of each target is one of its account's platform."""
    pairs = enumerate(zip(targets, accounts, strict=True))
    wrong = [place for place, (target, account) in pairs if target["mode"] not in MODES[account["platform"]]]
    if wrong:
        faults = [f"{place}.mode: Invalid enum value" for place in wrong]
        raise NotAcceptable("Invalid body.", fieldErrors={"targets": faults})


def opening_of(container: Mapping[str, Any], now_ms: int, may_wait: bool) -> int | None:
    """Return `opensMs` of new posts of a container: 0, or with `may_wait` the moment of its approval by the clock.

    None while nobody has decided. Raises Conflict unless the container is completed, ContentRejected, ApprovalRequired.
    """
    status, approval = container_status(container, now_ms), approval_status(container, now_ms)
    about = {"containerId": container["id"]}
    if status != "completed":
        raise Conflict("The container is not completed.", subcode="CONTAINER_NOT_COMPLETED", **about, status=status)
    if approval == REJECTED:
        raise ContentRejected("The container was rejected.", **about)
    if approval != PENDING:
        return 0
    if not may_wait:
        raise ApprovalRequired("The container is not approved.", **about, approvalStatus=approval)
    return auto_ms(container)
