"""Answering as a fault wants it: refused, late, cut short, or not at all."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response
from werkzeug.http import parse_dict_header

from engines.table import Record
from web.errors import MAX_BODY_BYTES, MESSAGES, STATUS_OF_CODE, Invalid, Refusal
from web.front import NOTHING, Exchange

MOST_DELAY_MS = 60_000

Answer = Mapping[str, Any]


def under(answer: Answer, exchange: Exchange, scope: str | None, act: Callable[[], Response]) -> Response:
    """Do what a fault's answer asks for instead of, before or after acting. Raises Refusal, and what `act` raises."""
    time.sleep(answer.get("delayMs", 0) / 1000)
    if "code" in answer:
        raise injected(answer, exchange.endpoint_class, scope)
    if answer.get("dropConnection"):
        exchange.cut = NOTHING
        return Response()
    exchange.cut = NOTHING if answer.get("loseReplyAfterEffect") else answer.get("truncateBody")
    return act()


def injected(answer: Answer, endpoint_class: str, scope: str | None) -> Refusal:
    """Return the refusal with the answer's code; it looks like the real one unless the answer has its own words."""
    code = answer["code"]
    details = answer.get("details", _details(code, endpoint_class, scope))
    refusal = Refusal(answer.get("message", MESSAGES[code]), **details)
    refusal.code = code
    refusal.retry_after = answer.get("retryAfter", 1 if code == "RATE_LIMITED" else None)
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
    """Return the answer that a header `Prefer: code=429, delay=200` asks for, empty when it is about other things.

    `code` is an HTTP status or one of our codes, `delay` is in milliseconds. Raises Invalid. Source: RFC 7240.
    """
    wanted = {name.lower(): value or "" for name, value in parse_dict_header(header).items()}
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
    raise _not_preferable(f"code={text}: there is no such code or status")


def _delay(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= MOST_DELAY_MS):
        raise _not_preferable(f"delay={text}: must be milliseconds, at most {MOST_DELAY_MS}")
    return int(text)


def _not_preferable(fault: str) -> Invalid:
    return Invalid("Invalid header.", fieldErrors={"Prefer": [fault]})
