"""Responses with a fault: an error, another answer, a delay, a slow or truncated body, or none at all."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import orjson
from flask import Request, Response
from werkzeug.http import parse_list_header, unquote_header_value

from layers_standin.domain.faults import RequestInfo, at_pointer
from layers_standin.domain.ids import canonical
from layers_standin.engines.table import Record
from layers_standin.settings import Settings
from layers_standin.web.access import is_open
from layers_standin.web.context import NO_RESPONSE, RESET, RequestContext
from layers_standin.web.disconnect import client_stays
from layers_standin.web.errors import MAX_BODY_BYTES, MESSAGES, STATUS_OF_CODE, Invalid, Refusal
from store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_DELAY_MS = 60_000
DROPPED = 444  # nginx's number for it in its logs; it is never sent
BODILESS = (204, 205, 304)
INFLUENCERS_OF_BODY = ("/influencerId", "/brief/influencerId", "/newInfluencerId")
_MAX_SHOWN = 40  # characters of a preference that is refused
PREFERRED = "prefer"  # instead of the id of a rule

FaultAction = Mapping[str, Any]


def match_fault(
    context: RequestContext,
    store: Store,
    request: Request,
    settings: Settings,
    begins_job: bool,
    influencer_id: str | None = None,
) -> FaultAction | None:
    """Return the action that a request asks for itself, else that of the rule that strikes it; the id is of its path.

    Sets `context.fault`, and `store.job_failure` and `store.post_failure`. Raises Invalid.
    """
    fault = _fault_from_prefer_header(request.environ, settings) if "HTTP_PREFER" in request.environ else None
    if fault is None and store.overrides.has_faults:
        fault = store.faults.take(store.organization, _info(context, request, begins_job, influencer_id))
    if fault is None:
        return None
    context.fault = fault["id"]
    store.job_failure, store.post_failure = fault["answer"].get("failJob"), fault["answer"].get("failPost")
    return cast(FaultAction, fault["answer"])


def _info(context: RequestContext, request: Request, begins_job: bool, of_path: str | None) -> RequestInfo:
    body = None
    with suppress(orjson.JSONDecodeError):
        body = orjson.loads(context.received)
    of_body = (at_pointer(body, pointer) for pointer in INFLUENCERS_OF_BODY)
    return RequestInfo(
        str(context.operation),
        request.method,
        request.path,
        tuple(each for each in (context.api_key_id, context.public_key_id) if each),
        begins_job,
        request_id=context.request_id,
        influencer_ids=frozenset(canonical(each) for each in (of_path, *of_body) if isinstance(each, str)),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
    )


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
    if is_gone or "dropConnection" in action or "resetConnection" in action:
        context.truncate_after = RESET if "resetConnection" in action and not is_gone else NO_RESPONSE
        return Response(status=DROPPED)
    context.slow_ms = action.get("slowBodyMs", 0)
    context.truncate_after = NO_RESPONSE if action.get("loseReplyAfterEffect") else action.get("truncateBody")
    if "code" in action or "status" in action:
        context.more_headers = list(_headers(action, context.more_headers))
    if "code" in action:
        raise injected(action, context.endpoint_class, scope)
    return foreign(action, context) if "status" in action else None


def _headers(action: FaultAction, usual: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the headers of a fault's answer, and of the usual ones those that it does not replace."""
    own = {name.lower(): (name, value) for name, value in action.get("headers", {}).items()}
    yield from (header for header in usual if header[0].lower() not in own)
    yield from (own[name] for name in own if name != "content-type")


def foreign(action: FaultAction, context: RequestContext) -> Response:
    """Return an answer that need not be one of the API's: of any status, with any headers and body."""
    body, status = action.get("body", ""), action["status"]
    kind = "text/html" if isinstance(body, str) and body.lstrip().startswith("<") else "text/plain"
    context.sent = body.encode() if isinstance(body, str) else orjson.dumps(body)
    named = {name.lower(): value for name, value in action.get("headers", {}).items()}
    content_type = named.get("content-type", f"{kind}; charset=utf-8" if isinstance(body, str) else "application/json")
    response = Response(context.sent, status, content_type=content_type)
    if not context.sent and "content-type" not in named:
        del response.headers["Content-Type"]
    if "retryAfter" in action:
        response.headers["Retry-After"] = str(action["retryAfter"])
    return response


def injected(action: FaultAction, endpoint_class: str, scope: str | None) -> Refusal:
    """Return the error with the action's code; it looks like the real one unless the action has its own message."""
    code, own_headers = action["code"], {name.lower() for name in action.get("headers", {})}
    status = action.get("status")
    refusal = Refusal(action.get("message", MESSAGES.get(code) or f"{code.replace('_', ' ').capitalize()}."))
    refusal.code, refusal.status = code, status
    refusal.details = action.get("details", _details(code, endpoint_class, scope))  # of any names, such as `message`
    usual = 1 if code == "RATE_LIMITED" and "retry-after" not in own_headers else None
    refusal.retry_after = action.get("retryAfter", usual)
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
