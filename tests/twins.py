"""Twins: two organizations of one service that do the same, and a look at whether both are answered the same."""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import httpx
import orjson

from layers_standin.engines.table import Record

_ULID = "0[1-9A-HJKMNP-TV-Z][0-9A-HJKMNP-TV-Z]{24}"  # a minted one; what the twins choose begins with 00
_OWN = re.compile(  # all that two organizations cannot have in common
    "|".join(
        f"(?P<{kind}>{pattern})"
        for kind, pattern in {
            "host": r'https?://[^/"\s]+',
            "request": f"req_{_ULID}",
            **{kind: f"{kind}_{_ULID}" for kind in ("job", "asset", "cnt", "sp", "sa", "st")},
            "uuid": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            "number": '(?<=")7[0-9]{18}(?=")',
            "signature": r"(?<=/consent/)[\w.-]+",
            "token": r'(?<=/)[\w-]{22}(?=[/"])|(?<=/)[0-9a-f]{32}(?=/)',
            "cursor": r'(?<="nextCursor":")[\w-]+',
        }.items()
    )
)


class Reply(NamedTuple):
    """A response as both twins got it; `body` is its JSON, or its text, or the hash of its bytes."""

    status: int
    body: Any


class Twin:
    """An organization with a clock of its own, that stands still.

    What is its own it calls by a name, such as `<job 3>`: the third that it came across. Both twins understand the
    names of either.
    """

    def __init__(self, door: httpx.Client) -> None:
        made = door.post("/_standin/organizations").raise_for_status().json()
        self.organization = made["organizationId"]
        self._key = {"X-Api-Key": made["apiKey"]}
        self._names: dict[str, str] = {}
        self._own: dict[str, str] = {}

    def ask(self, door: httpx.Client, method: str, path: str, body: Any = None) -> Reply:
        """Return the response with names in place of its own, as `path` and `body` have them."""
        content = None if body is None else self._translated(orjson.dumps(body).decode())
        response = door.request(method, self._translated(path), content=content, headers=self._key)
        kind = response.headers["Content-Type"]
        if not kind.startswith(("application/json", "text/")):
            return Reply(response.status_code, sha256(response.content).hexdigest())
        text = _OWN.sub(self._name, response.text)
        return Reply(response.status_code, orjson.loads(text) if kind == "application/json" else text)

    def submit(self, door: httpx.Client, page: str, form: Record) -> int:
        """Send a page's form; return the status."""
        return door.post(self._translated(page), data=form).status_code

    def known(self, kind: str) -> list[str]:
        """Return the names of all of that kind that it came across."""
        return [name for name in self._own if name.startswith(f"<{kind} ")]

    def _name(self, found: re.Match[str]) -> str:
        kind = str(found.lastgroup)
        if kind in ("host", "request"):  # another one each time
            return f"<{kind}>"
        if found[0] not in self._names:
            name = self._names[found[0]] = f"<{kind} {len(self.known(kind)) + 1}>"
            self._own[name] = found[0]
        return self._names[found[0]]

    def _translated(self, text: str) -> str:
        return re.sub("<[a-z]+ [0-9]+>", lambda name: self._own[name[0]], text.replace("<host>", ""))


class Twins:
    """Two twins who ask the same, at the service's doors in turn, and must be answered the same."""

    def __init__(self, doors: Sequence[httpx.Client]) -> None:
        self.doors = doors  # others after a restart
        self.both = self.one, self.other = Twin(doors[0]), Twin(doors[0])
        self._turns = 0

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Return the reply that both got, at one door; the next time it is another."""
        door = self.door()
        one, other = (twin.ask(door, method, path, body) for twin in self.both)
        assert one == other, (method, path)
        return one

    def read(self, path: str) -> Any:
        """Return the body of what is there."""
        return self.do("GET", path)

    def do(self, method: str, path: str, body: Any = None) -> Any:
        """Return the body of the reply to what has to work."""
        status, answer = self.ask(method, path, body)
        assert status in (200, 201, 202), (method, path, answer)
        return answer

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return the status and the message of a refusal."""
        status, answer = self.ask(method, path, body)
        assert status >= 400, (method, path, answer)
        return status, answer["error"]["message"]

    def allow(self, page: str) -> None:
        """Say yes on a page of consent, as a person."""
        assert [twin.submit(self.door(), page, {"decision": "yes"}) for twin in self.both] == [303, 303]

    def until(self, moment: str) -> None:
        """Move the clocks of both to a moment, at which they stand still."""
        for twin in self.both:
            body = {"mode": "frozen", "at": moment, "organizationId": twin.organization}
            self.door().put("/_standin/clock", json=body).raise_for_status()

    def known(self, kind: str) -> list[str]:
        one, other = (twin.known(kind) for twin in self.both)
        assert one == other
        return one

    def door(self) -> httpx.Client:
        """Return the next door."""
        self._turns += 1
        return self.doors[self._turns % len(self.doors)]
