"""Requests to a server that may be the real one: with its limits kept, and with nothing touched that is not ours."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import httpx
import orjson

from layers_standin.conform.document import Told
from layers_standin.conform.expectations import shown

KEY = "<key>"  # stands for the key in headers; the key itself is put in its place when a request is sent
TIMEOUT_SECONDS = 20.0
MAX_REQUESTS = 600
MAX_WAIT_SECONDS = 300.0  # for rate limits, of a whole run
_MAX_ATTEMPTS = 4
_TOO_MANY_REQUESTS = 429
_MAX_BYTES = 4_000_000


class NotAnswered(Exception):
    """A request has no answer that can be judged; the message is a sentence."""


class Exhausted(NotAnswered):
    """There will be none to any other either: too many requests, or too long a wait."""


class Sent(NamedTuple):
    """A request, with all that is to stand in it."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    content: bytes | None

    def __str__(self) -> str:
        """Return the request in a line; the key is not in it."""
        query = "&".join(f"{name}={quote(value, safe=':/')}" for name, value in self.query.items())
        usual = {"X-Api-Key": KEY, "Content-Type": "application/json"}
        headers = [f"{name}: {value}" for name, value in self.headers.items() if usual.get(name) != value]
        if "X-Api-Key" not in self.headers and "Authorization" not in self.headers:
            headers.append("no key")
        parts = [self.method, urlsplit(self.url).path + (f"?{query}" if query else "")]
        parts += [f"[{'; '.join(headers)}]"] if headers else []
        parts += [_gist(self.content)] if self.content is not None else []
        return " ".join(parts)


class Reply(NamedTuple):
    """An answer; `body` is its JSON, None where it is none."""

    status: int
    headers: httpx.Headers
    body: Any
    text: str

    @property
    def code(self) -> str | None:
        """Return the code in the envelope of an error."""
        error = self.body.get("error") if isinstance(self.body, Mapping) else None
        found = error.get("code") if isinstance(error, Mapping) else None
        return found if isinstance(found, str) else None

    def __str__(self) -> str:
        return f"{self.status} {self.code}" if self.code else str(self.status)


class Client:
    """Sends requests with a key, one after another.

    A 429 is waited for as long as its Retry-After says, within the limits above. `sleep` takes seconds.
    """

    def __init__(self, http: httpx.Client, key: str, sleep: Callable[[float], object] = time.sleep) -> None:
        self._http, self._key, self._sleep = http, key, sleep
        self.requests, self.waited = 0, 0.0

    def send(self, sent: Sent) -> Reply:
        """Return the answer. Raises NotAnswered."""
        for _ in range(_MAX_ATTEMPTS):
            reply = self._send_once(sent)
            if reply.status != _TOO_MANY_REQUESTS:
                return reply
            self._wait(reply)
        raise NotAnswered(f"it was answered with 429 {_MAX_ATTEMPTS} times")

    def _send_once(self, sent: Sent) -> Reply:
        if self.requests >= MAX_REQUESTS:
            raise Exhausted(f"{MAX_REQUESTS} requests are the most that one run makes")
        self.requests += 1
        headers = {name: value.replace(KEY, self._key) for name, value in sent.headers.items()}
        try:
            answer = self._http.request(
                sent.method, sent.url, params=dict(sent.query) or None, headers=headers, content=sent.content
            )
        except httpx.TimeoutException:
            raise NotAnswered(f"no answer came within {TIMEOUT_SECONDS:.0f} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NotAnswered(f"no answer came: {error or type(error).__name__}") from None
        return _reply(answer)

    def _wait(self, reply: Reply) -> None:
        text = reply.headers.get("Retry-After", "")
        seconds = float(text) if text.isascii() and text.isdigit() else 60.0  # a minute: limits count by minutes
        if self.waited + seconds > MAX_WAIT_SECONDS:
            raise Exhausted(f"the rate limit asks for {seconds:.0f} more seconds, after {self.waited:.0f} of waiting")
        self.waited += seconds
        self._sleep(seconds)


def path_of(told: Told, ids: Mapping[str, str]) -> str:
    """Return the path of an operation with these ids in it."""
    path = told.path
    for name in told.values:
        path = path.replace(f"{{{name}}}", quote(ids[name], safe=""))
    return path


def encoded(body: Any) -> bytes:
    return orjson.dumps(body)


def _reply(answer: httpx.Response) -> Reply:
    try:
        body = orjson.loads(answer.content[:_MAX_BYTES])
    except orjson.JSONDecodeError:
        body = None
    return Reply(answer.status_code, answer.headers, body, answer.text[:_MAX_BYTES] if body is None else "")


def _gist(content: bytes) -> str:
    try:
        return shown(orjson.loads(content))
    except orjson.JSONDecodeError:
        return f"({len(content)} bytes)"
