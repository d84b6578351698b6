"""The control plane as a test uses it: an organization of its own, with its clock, faults, requests and webhooks.

Written with the standard library alone: what a test replaces in httpx or requests must not catch the commands.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

Json = dict[str, Any]

# In `faults.add`, which parts of a rule a keyword belongs to; all others are of the answer.
_OF_MATCH = ("event", "method", "path", "keyId", "influencerId")
_OF_RULE = ("times", "after", "every")
_SHOWN_CHARACTERS = 100
_MOST_SHOWN = 20
_ALL = 1000  # that many entries are kept
_TIMEOUT_SECONDS = 150.0  # a flush may wait for two minutes


class StandInError(Exception):
    """The stand-in could not be started or asked, or refused a command; the message says why."""


class Service:
    """A running stand-in at a URL; the token is needed where the control plane is opened by one."""

    def __init__(self, base_url: str, token: str | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._opener: OpenerDirector = build_opener(ProxyHandler({}))  # no proxy's: it may not know this machine's

    def organization(self, name: str | None = None, scopes: list[str] | None = None) -> "Organization":
        """Return a new organization, with a key for all scopes or for these."""
        wanted = {"name": name, "scopes": scopes}
        made = self.command("POST", "organizations", {key: value for key, value in wanted.items() if value is not None})
        return Organization(self, made["organizationId"], made["apiKey"])

    def reset(self, to: str | None = None) -> None:
        """Reset everything, other tests' organizations included, to the seed or to "empty"."""
        self.command("POST", "reset", {} if to is None else {"to": to})

    def command(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> Json:
        """Return the reply to a command of the control plane, `path` being what follows /_standin/."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return self.send(method, f"/_standin/{path}", body, query, headers)

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> Json:
        """Return the JSON of a reply. Raises StandInError for a refusal, or when nobody answers."""
        url = f"{self.base_url}{path}{'?' + urlencode(query) if query else ''}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(url, data, {"Content-Type": "application/json", **headers}, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as reply:
                return dict(json.load(reply))
        except HTTPError as error:
            with error:
                raise StandInError(f"{method} {path}: {_reason(error)}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise StandInError(f"There is no stand-in at {self.base_url}: {getattr(error, 'reason', error)}.") from None


class Organization:
    """An organization of a test: no other test sees its data, and its clock and faults are its own."""

    def __init__(self, service: Service, organization_id: str, api_key: str) -> None:
        self.base_url, self.api_key, self.id = service.base_url, api_key, organization_id
        self.headers = {"X-Api-Key": api_key}
        self._service = service
        self.clock = Clock(self)
        self.faults = Faults(self)
        self.requests = Requests(self)
        self.webhooks = Webhooks(self)

    def __repr__(self) -> str:
        return f"<Organization {self.id} of {self.base_url}>"

    def set_credits(self, balance: int) -> None:
        """Set how many credits are left."""
        self.command("PUT", "credits", {"balance": balance})

    def delete(self) -> None:
        """Delete it with all its data."""
        self._service.command("DELETE", f"organizations/{self.id}")

    def command(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Json:
        """Return the reply to a command of the control plane, for this organization alone."""
        own = {"organizationId": self.id}
        if method in ("GET", "DELETE"):
            return self._service.command(method, path, body, own | query)
        return self._service.command(method, path, own | dict(body or {}), query)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Return the API's reply to a call with the organization's key: to prepare what a test is about."""
        return self._service.send(method, path, body, None, self.headers)

    def unknown_requests(self) -> list[Json]:
        """Return the newest requests that no organization's key came with, oldest first."""
        found = self._service.command("GET", "requests", query={"limit": _MOST_SHOWN, "status": 401})["items"]
        return [entry for entry in reversed(found) if entry["organizationId"] is None]


class Clock:
    """The clock of an organization: jobs, expiries and timestamps go by it."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def freeze(self, at: str | datetime | None = None) -> datetime:
        """Stop the clock, at an instant such as "2026-04-18T09:00:00Z" or at its present time; return its time."""
        return self._set(mode="frozen") if at is None else self._set(mode="frozen", at=_instant(at))

    def advance(self, duration: str | timedelta | float) -> datetime:
        """Move the clock on by "PT2S", a timedelta, or seconds; return its time."""
        return self._set(advance=_duration(duration))

    def shift(self, duration: str | timedelta | float) -> datetime:
        """Let the clock run that much ahead of the real one; return its time."""
        return self._set(mode="offset", offset=_duration(duration))

    def reset(self) -> None:
        """Let the real time hold again."""
        self._organization.command("DELETE", "clock")

    def now(self) -> datetime:
        """Return its time."""
        return datetime.fromisoformat(self._organization.command("GET", "clock")["now"])

    def _set(self, **setting: str) -> datetime:
        return datetime.fromisoformat(self._organization.command("PUT", "clock", setting)["now"])


class Faults:
    """Faults of an organization: they make its calls fail."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def add(self, operation: str | None = None, *, match: Mapping[str, Any] | None = None, **rule: Any) -> Json:
        """Make calls of an operation fail, each time or `times`; return the rule.

        The other keywords are those of docs/control.md, also with underscores: `code="RATE_LIMITED", retry_after=7`;
        `headers` and `body` are the answer's, those of the calls are in `match`.
        """
        body: Json = {"match": dict(match or {}), "answer": {}}
        if operation is not None:
            body["match"]["operation"] = operation
        for name, value in rule.items():
            name = _camel(name)
            target = body if name in _OF_RULE else body["match"] if name in _OF_MATCH else body["answer"]
            target[name] = value
        return self._organization.command("POST", "faults", {name: part for name, part in body.items() if part != {}})

    def add_preset(self, name: str) -> list[Json]:
        """Add the rules of a preset, such as "flaky-gateway"; return them."""
        return list(self._organization.command("POST", "faults", {"preset": name})["items"])

    def all(self) -> list[Json]:
        """Return the rules, oldest first, each with how often it has struck."""
        return list(self._organization.command("GET", "faults")["items"])

    def remove(self, fault_id: str) -> None:
        """Remove one rule."""
        self._organization.command("DELETE", f"faults/{quote(fault_id, '')}")

    def clear(self) -> None:
        """Remove all rules."""
        self._organization.command("DELETE", "faults")


class Requests:
    """The calls that came with the organization's key."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def all(self, operation: str | None = None, status: int | None = None) -> list[Json]:
        """Return the calls in the order in which they came: of all operations and statuses, or of these."""
        wanted = {"operation": operation, "status": status}
        query: Json = {name: value for name, value in wanted.items() if value is not None}
        found = self._organization.command("GET", "requests", limit=_ALL, **query)
        return list(reversed(found["items"]))

    def called(self, operation: str, times: int | None = None, status: int | None = None) -> list[Json]:
        """Return the calls of an operation. Raises AssertionError, which shows what came, if they are not `times`.

        Without `times`, one is enough; with 0 there must be none.
        """
        __tracebackhide__ = True
        found = self.all(operation, status)
        if not found if times is None else len(found) != times:
            raise AssertionError(self._what_came(operation, len(found), times, status))
        return found

    def clear(self) -> None:
        """Forget the calls until now."""
        self._organization.command("DELETE", "requests")

    def _what_came(self, operation: str, found: int, times: int | None, status: int | None) -> str:
        wanted = "at least once" if times is None else _times(times)
        answered = "" if status is None else f" with status {status}"
        lines = [f"{operation} was to be called {wanted}{answered}, and was called {_times(found)}."]
        came = self.all()
        if came:
            lines += ["These calls came, the newest last:", *map(_line, came[-_MOST_SHOWN:])]
        else:
            lines += ["No call came with the key of this organization."]
        if unknown := self._organization.unknown_requests():
            lines += ["Refused, for they had no valid key:", *map(_line, unknown)]
        return "\n".join(lines)


class Webhooks:
    """The webhooks of an organization."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def flush(self, timeout: float = 30.0) -> None:
        """Return when all that is due by the clock was attempted. Raises StandInError if that takes longer."""
        self._organization.command("POST", "webhooks/flush", {"timeoutMs": round(timeout * 1000)})

    def pending(self) -> list[Json]:
        """Return the events and attempts to come, the first to be due first, each with its moment as `dueAt`."""
        return list(self._organization.command("GET", "webhooks")["items"])

    def endpoint(self, url: str, *events: str) -> Json:
        """Return a new endpoint, with its `signingSecret`: these types of events are posted to the URL."""
        return self._organization.call("POST", "/v1/webhook-endpoints", {"url": url, "events": events})

    def inbox(self, *events: str, name: str = "inbox") -> "Inbox":
        """Return a receiver that the stand-in has for this test; an endpoint posts `events` to it, if any are named."""
        inbox = Inbox(self._organization, f"{self._organization.id}-{name}")
        if events:
            self.endpoint(inbox.url, *events)
        return inbox


class Inbox:
    """An inbox: a receiver of the stand-in's own, to look at what was posted."""

    def __init__(self, organization: Organization, name: str) -> None:
        self.url = f"{organization.base_url}/_standin/inbox/{name}"
        self._service, self._path = organization._service, f"inbox/{name}"

    def messages(self) -> list[Json]:
        """Return what was posted, the oldest first: `headers`, `body` as text, `isVerified`, and `event`, the JSON."""
        found = self._service.command("GET", self._path)["items"]
        return [message | {"event": _json(message["body"])} for message in reversed(found)]

    def events(self) -> list[str]:
        """Return the types of the events that were posted, the oldest first."""
        return [message["event"]["type"] for message in self.messages()]

    def clear(self) -> None:
        """Empty it."""
        self._service.command("DELETE", self._path)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _times(number: int) -> str:
    return "once" if number == 1 else "never" if number == 0 else f"{number} times"


def _line(entry: Mapping[str, Any]) -> str:
    query = f"?{entry['query']}" if entry["query"] else ""
    parts = (entry["method"], f"{entry['path']}{query}", str(entry["status"]), entry["operation"], entry["request"])
    line = " ".join(part for part in parts if part)
    return f"  {line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + '…'}"


def _instant(moment: str | datetime) -> str:
    if isinstance(moment, str):
        return moment
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()


def _duration(duration: str | timedelta | float) -> str:
    if isinstance(duration, str):
        return duration
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    return f"{'-' if seconds < 0 else ''}PT{abs(seconds):.3f}S"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _reason(error: HTTPError) -> str:
    """Return why a request was refused: the API's message, and what is wrong with which field."""
    text = error.read().decode("utf-8", "replace")
    try:
        refusal = json.loads(text)["error"]
    except (ValueError, LookupError, TypeError):
        return f"{error.code} {text[:_SHOWN_CHARACTERS]}"
    details = refusal.get("details") or {}
    faults = [f"{name}: {'; '.join(said)}" for name, said in details.get("fieldErrors", {}).items()]
    return " ".join([str(error.code), refusal["message"], *details.get("formErrors", []), *faults])
