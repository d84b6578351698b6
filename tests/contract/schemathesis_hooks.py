"""What Schemathesis cannot take from the OpenAPI document: how to draw some values, and which failures are none."""

import os
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

from layers_standin.domain.cursors import is_cursor
from layers_standin.domain.posts import ALL_MODES

schemathesis.openapi.format("iana-timezone", strategies.sampled_from(["UTC", "Europe/Lisbon", "America/New_York"]))

# Faults of a body or query that no JSON Schema can tell: they depend on another field, on bytes, on another reply, or
# on what the document itself has.
UNTELLABLE = (
    "Must be the same as",
    "The bytes are not",
    "Object must be at most",
    "Invalid cursor",
    "Invalid instant",  # of a leap second, or before 1970
    "Must be a URL",  # of a webhook endpoint, and where it may lead
    "Must not be the control plane",
    "Invalid url",  # of another scheme than those of the web
    "Unknown operation",
    "Unknown or expired state",
)


@schemathesis.hook
def map_query(_: schemathesis.HookContext, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave out a cursor that is drawn: it is never one of the list's, and nothing behind it would be reached."""
    return query and {name: value for name, value in query.items() if name != "cursor" or is_cursor(str(value))}


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case, __: dict[str, Any]) -> None:
    """Let accounts that are named, by the examples too, be the one that is there: nothing would be reached otherwise.

    Nobody disconnects it, or pauses the webhook endpoint that is there, though their ids are drawn once a reply has
    shown them. And where events go is always this machine, where nobody listens.
    """
    account, body = os.environ["FUZZ_ACCOUNT"], case.body if isinstance(case.body, dict) else {}
    if case.method not in ("GET", "POST"):
        for name, value in case.path_parameters.items():
            if value in (account, os.environ["FUZZ_ENDPOINT"]):
                case.path_parameters[name] = "another"
    if "webhook-endpoints" in case.path and str(body.get("url")).startswith("http"):
        body["url"] = "http://127.0.0.1:9/"
    targets = body.get("targets")
    for target in targets if isinstance(targets, list) else []:
        if isinstance(target, dict) and isinstance(target.get("socialAccountId"), str) and target["socialAccountId"]:
            target["socialAccountId"] = account
            if target.get("mode") in ALL_MODES:
                target["mode"] = "draft_to_device"


@schemathesis.hook
def filter_failure(
    _: schemathesis.HookContext, failure: Failure, __: schemathesis.Case, response: schemathesis.Response
) -> bool:
    """Whether a failure is one."""
    if response.status_code == 413 and "Request line or headers" in response.text:
        return False  # so it is told of every path, in the document's introduction
    if isinstance(failure, UseAfterFree):
        return "DELETE /v1/projects/" not in failure.message  # archives it; it can still be read
    if isinstance(failure, RejectedPositiveData):
        return not is_untellable(response)
    return True


def is_untellable(response: schemathesis.Response) -> bool:
    """Whether a request that is as the document says was refused for what the document cannot say."""
    if response.status_code in (412, 416):
        return True  # which ETag the reply has, and how long a file is
    if response.status_code != 422:
        return False
    return all(message.startswith(UNTELLABLE) for message in messages(response.json()["error"]["details"]))


def messages(details: dict[str, Any]) -> list[str]:
    of_fields = [message for found in details["fieldErrors"].values() for message in found]
    return of_fields + details.get("formErrors", [])
