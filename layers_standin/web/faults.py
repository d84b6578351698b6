"""Responses with a fault: an error, a delay, a truncated body, or none at all."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from flask import Request, Response
from werkzeug.http import parse_list_header, unquote_header_value

from layers_standin.domain.faults import RequestInfo
from layers_standin.engines.table import Record
from layers_standin.settings import Settings
from layers_standin.web.access import is_open
from layers_standin.web.context import NO_RESPONSE, RequestContext
from layers_standin.web.disconnect import client_stays
from layers_standin.web.errors import MAX_BODY_BYTES, MESSAGES, STATUS_OF_CODE, Invalid, Refusal
from store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_DELAY_MS = 60_000
DROPPED = 444  # nginx's number for it in its logs; it is never sent
_MAX_SHOWN = 40  # characters of a preference that is refused
PREFERRED = "prefer"  # instead of the id of a rule

FaultAction = Mapping[str, Any]


def match_fault(
    context: RequestContext, store: Store, request: Request, settings: Settings, begins_job: bool
) -> FaultAction | None:
    """Return the action that a request asks for itself, else that of the first matching rule, which is counted.

    Sets `context.fault`, and `store.job_failure` and `store.post_failure`. Raises Invalid.
    """
    fault = _fault_from_prefer_header(request.environ, settings) if "HTTP_PREFER" in request.environ else None
    if fault is None and store.overrides.has_faults:
        key_ids = tuple(each for each in (context.api_key_id, context.public_key_id) if each)
        fault = store.faults.take(
            store.organization, RequestInfo(str(context.operation), request.method, request.path, key_ids, begins_job)
        )
    if fault is None:
        return None
    context.fault = fault["id"]
    store.job_failure, store.post_failure = fault["answer"].get("failJob"), fault["answer"].get("failPost")
    return cast(FaultAction, fault["answer"])


def _fault_from_prefer_header(environ: "WSGIEnvironment", settings: Settings) -> Record | None:
    """Return the fault of a request's `Prefer` header; None without one, or without access to the control plane."""
    header = environ.get("HTTP_PREFER")
    if header is None or not is_open(environ, settings):
        return None
    answer = preferred(header)
    return {"id": PREFERRED, "answer": answer} if answer else None


def apply_fault(action: FaultAction, context: RequestContext, request: Request, scope: str | None) -> Response | None:
    """Apply a fault's action before the operation; return a response that replaces the operation's, or None.

    A client that does not wait for the end of a delay is not answered, and nothing is done for it.
    Raises Refusal with the action's code.
    """
    is_gone = "delayMs" in action and not client_stays(action["delayMs"] / 1000, request.environ)
    if "code" in action and not is_gone:
        raise injected(action, context.endpoint_class, scope)
    if action.get("dropConnection") or is_gone:
        context.truncate_after = NO_RESPONSE
        return Response(status=DROPPED)
    context.truncate_after = NO_RESPONSE if action.get("loseReplyAfterEffect") else action.get("truncateBody")
    return None


def injected(action: FaultAction, endpoint_class: str, scope: str | None) -> Refusal:
    """Return the error with the action's code; it looks like the real one unless the action has its own message."""
    code = action["code"]
    refusal = Refusal(action.get("message", MESSAGES[code]))
    refusal.code = code
    refusal.details = action.get("details", _details(code, endpoint_class, scope))  # of any names, such as `message`
    refusal.retry_after = action.get("retryAfter", 1 if code == "RATE_LIMITED" else None)
    return refusal


def _details(code: str, endpoint_class: str, scope: str | None) -> Record:
    usual: dict[str, Record] = {
        "FORBIDDEN_SCOPE": {"required": scope or "*"},
        "CONFLICT": {"subcode": "INJECTED"},
        "PAYLOAD_TOO_LARGE": {"maxBytes": MAX_BODY_BYTES},
        "VALIDATION": {"fieldErrors": {}, "formErrors": ["Injected"]},
        "RATE_LIMITED": {"endpointClass": endpoint_class},
        "KILL_SWITCH": {"scope": "key"},
    }
    return usual.get(code, {})


def preferred(header: str) -> Record:
    """Return the fault in a header `Prefer: code=429, delay=200`, empty when it has neither.

    `code` is an HTTP status or one of our codes, `delay` is in milliseconds. Raises Invalid. Source: RFC 7240.
    """
    wanted: dict[str, str] = {}
    for preference in parse_list_header(header):
        name, _, value = preference.partition(";")[0].partition("=")
        wanted.setdefault(name.strip().lower(), unquote_header_value(value.strip()))  # the first one counts
    answer: Record = {}
    if "code" in wanted:
        answer["code"] = _code(wanted["code"])
    if "delay" in wanted:
        answer["delayMs"] = _delay(wanted["delay"])
    return answer


def _code(text: str) -> str:
    for code, status in STATUS_OF_CODE.items():
        if text in (code, str(status)):
            return code
    raise _not_preferable(f"code={text[:_MAX_SHOWN]}: there is no such code or status")


def _delay(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= MAX_DELAY_MS):
        raise _not_preferable(f"delay={text[:_MAX_SHOWN]}: must be milliseconds, at most {MAX_DELAY_MS}")
    return int(text)


def _not_preferable(fault: str) -> Invalid:
    return Invalid("Invalid header.", fieldErrors={"Prefer": [fault]})
