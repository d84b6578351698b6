"""Ask a server, and judge its answers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from uuid import uuid4

from layers_standin.conform.check import BILLED, DOCUMENTATION, GUESS, WITH_KEY, Check
from layers_standin.conform.checks import NOT_TRIED, reading, writing
from layers_standin.conform.client import Client, Exhausted, NotAnswered, Reply, Sent, encoded, path_of
from layers_standin.conform.document import Told, operations_of
from layers_standin.conform.expectations import Difference, Shows
from layers_standin.conform.forms import form_differences
from layers_standin.openapi.errors import ERRORS
from layers_standin.openapi.examples import PATH_IDS
from layers_standin.openapi.json_schema import ref

PASSED, DIFFERS, SKIPPED = "passed", "differs", "not tried"
_FACT = re.compile(r"\{(\w+)\}")
_REQUEST_ID = re.compile("req_[0-7][0-9A-HJKMNP-TV-Z]{25}")
_MAX_SILENT = 3  # requests in a row without an answer

# By operation: the one that takes back what it has made, the parameter of that, and where the reply has the id.
_UNDONE_BY: dict[str, tuple[str, str, str]] = {
    "createInfluencer": ("deleteInfluencer", "influencerId", "/influencerId"),
    "cloneInfluencer": ("deleteInfluencer", "influencerId", "/influencerId"),
    "createWebhookEndpoint": ("deleteWebhookEndpoint", "webhookEndpointId", "/endpoint/id"),
    "createProject": ("deleteProject", "projectId", "/id"),
}


_REQUESTS = f"{DOCUMENTATION}: Requests"


class Unusable(Exception):
    """The server cannot be asked at all; the message is a sentence that a person can act on."""


@dataclass
class Result:
    """What came of a check. `requests` are those that differ, or the one that was sent; `why` is of one not tried."""

    name: str
    source: str
    must: str
    outcome: str
    differences: list[Difference] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    why: str = ""


class Report(NamedTuple):
    """All that a run has found; `remains` are the things that it has made and could not take back."""

    base_url: str
    organization: str
    results: list[Result]
    requests: int
    remains: list[str]
    unanswered: int

    def of(self, outcome: str) -> list[Result]:
        return [result for result in self.results if result.outcome == outcome]

    @property
    def exit_code(self) -> int:
        """Return 0 when nothing differs, 1 when something does, 2 when nothing does but requests had no answer."""
        return 1 if self.of(DIFFERS) else 2 if self.unanswered else 0


class Plan(NamedTuple):
    """What is to be tried: `only` are patterns of names of checks, or of operations or their groups."""

    write: bool = False
    credits: bool = False
    project: str | None = None
    only: tuple[str, ...] = ()

    def wants(self, names: Iterable[str]) -> bool:
        """Whether one of these names is asked for; all are, when none is named."""
        patterns = [wanted.lower() for wanted in self.only]
        return not patterns or any(fnmatchcase(name.lower(), each) for name in names for each in patterns)


class _Facts(dict[str, Any]):
    """What earlier replies have given, by name."""

    def fill(self, value: Any) -> Any:
        """Return a value with the facts in place of their names in braces. Raises KeyError for one not known."""
        if isinstance(value, str):
            whole = _FACT.fullmatch(value)
            return self[whole[1]] if whole else _FACT.sub(lambda found: str(self[found[1]]), value)
        if isinstance(value, Mapping):
            return {name: self.fill(each) for name, each in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(self.fill, value))
        if isinstance(value, list | tuple):
            return type(value)(self.fill(each) for each in value)
        return value


class _Everywhere:
    """What holds of every response, gathered over all of them: a thing that is wrong everywhere is told once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.results: dict[str, Result] = {}

    def judge(self, told: Told, sent: Sent, reply: Reply, name: str | None, is_expected: bool) -> None:
        """Judge a response; `name` is the refusal that it is, or None. Of another than was expected not the form."""
        header = reply.headers.get("X-Request-Id", "")
        is_id = _REQUEST_ID.fullmatch(header) is not None
        self._note(
            "every response:X-Request-Id", "it has a request id", sent, _unless(is_id, "req_ and a ULID", header)
        )
        self._class(told, sent, reply)
        if reply.status >= 400:
            self._note("every error:envelope", "it has the one envelope", sent, self._envelope(reply, is_id))
        if reply.status not in (204, 304):
            kind = reply.headers.get("Content-Type", "").partition(";")[0]
            self._note(
                "every response:JSON", "it is JSON", sent, _unless(kind == "application/json", "application/json", kind)
            )
        if is_expected:
            self._form(told, sent, reply, name)

    def _class(self, told: Told, sent: Sent, reply: Reply) -> None:
        success = next(each for status, each in told.facts["responses"].items() if int(status) < 300)
        expected = success["headers"]["X-RateLimit-Endpoint-Class"]["schema"]["enum"][0]
        received = reply.headers.get("X-RateLimit-Endpoint-Class", "")
        found = _unless(received == expected, f"X-RateLimit-Endpoint-Class: {expected}", received)
        self._note("every response:X-RateLimit-Endpoint-Class", "it tells its class", sent, found)

    def _envelope(self, reply: Reply, is_id: bool) -> list[Difference]:
        error = reply.body.get("error") if isinstance(reply.body, Mapping) else None
        if not isinstance(error, Mapping):
            return [Difference("an object `error`", _gist(reply))]
        lacking = [name for name in ("code", "message", "requestId") if not isinstance(error.get(name), str)]
        found = [Difference(f"error.{name}, a text", str(error.get(name))) for name in lacking]
        if is_id and not lacking and error["requestId"] != reply.headers["X-Request-Id"]:
            found.append(Difference("error.requestId is that of X-Request-Id", "another"))
        return found + [Difference("no other fields in `error`", name) for name in error if name not in _ENVELOPE]

    def _form(self, told: Told, sent: Sent, reply: Reply, name: str | None) -> None:
        schema = told.form(reply.status) if name is None else ref(name)
        if schema is None or reply.body is None:
            return
        if name is not None:  # the envelope is judged already
            details = ERRORS[name].evidence
            error = reply.body["error"]
            if details is None or ("details" not in error and not ERRORS[name].always):
                return
            found = form_differences(self._document, error.get("details"), details)
        else:
            found = form_differences(self._document, reply.body, schema)
        title = name or str(schema.get("$ref", told.id)).rpartition("/")[2]
        source = GUESS if name not in (None, "Invalid") else f"{DOCUMENTATION}: {told.tag}"
        self._note(f"form:{title}", "it has just the fields that are told", sent, found, source)

    def _note(
        self, name: str, must: str, sent: Sent, differences: Sequence[Difference], source: str = _REQUESTS
    ) -> None:
        result = self.results.setdefault(name, Result(name, source, must, PASSED))
        if differences:
            result.outcome = DIFFERS
            result.requests.append(str(sent))
            result.differences += [each for each in differences if each not in result.differences]


_ENVELOPE = ("code", "message", "requestId", "details")


class Run:
    """Makes the checks one after another; what was made is taken back by `clean_up`."""

    def __init__(self, client: Client, base_url: str, document: Mapping[str, Any], plan: Plan) -> None:
        self._client, self._base_url, self._plan = client, base_url, plan
        self._told = {told.id: told for told in operations_of(document) if not told.is_control}
        self._everywhere = _Everywhere(document)
        self._results: list[Result] = []
        self._scopes: set[str] = {"*"}
        self._facts = _Facts()
        self._owned: set[str] = set()
        self._undo: list[tuple[str, str, str]] = []
        self.remains: list[str] = []  # what was made and could not be taken back
        self._unanswered = self._silent = 0
        self._exhausted = ""

    def report(self) -> Report:
        """Make all the checks; return what came of them. Raises Unusable."""
        name = self._begin()
        try:
            self._make(reading(self._told.values()))
            if self._plan.write:
                self._facts = _Facts(unknown=str(uuid4()), run=uuid4().hex[:8])  # nothing of the account's is known
                self._make(writing(self._told.values()))
        finally:
            self._clean_up()
        everywhere = [each for each in self._everywhere.results.values() if self._is_wanted(each.name, None)]
        results = [*self._results, *everywhere, *self._never_tried()]
        return Report(self._base_url, name, results, self._client.requests, self.remains, self._unanswered)

    def _begin(self) -> str:
        """Ask whose key it is; return the name of the organization. Raises Unusable."""
        try:
            reply = self._client.send(Sent("GET", f"{self._base_url}/v1/whoami", WITH_KEY, {}, None))
        except NotAnswered as error:
            raise Unusable(f"{self._base_url} cannot be asked: {error}.") from error
        if reply.status == 401:
            raise Unusable(f"{self._base_url} does not know this key: it answered 401 to GET /v1/whoami.")
        if reply.code == "KILL_SWITCH":
            raise Unusable("This key is switched off: give one that works.")
        if reply.status != 200 or not isinstance(reply.body, Mapping):
            raise Unusable(f"{self._base_url} is no server of this API: GET /v1/whoami was answered with {reply}.")
        scopes = reply.body.get("scopes")
        if isinstance(scopes, list):
            self._scopes = set(map(str, scopes))
        known = {"projectId": self._plan.project} if self._plan.project else {}
        self._facts = _Facts(unknown=str(uuid4()), **known)
        return str(reply.body.get("organizationName", reply.body.get("organizationId", "")))

    def _make(self, planned: Sequence[Check]) -> None:
        for check in planned:
            told = self._told[check.operation]
            wanted = self._is_wanted(check.name, told)
            if wanted or check.gives:
                result = self._result_of(check, told)
                if wanted:
                    self._results.append(result)

    def _is_wanted(self, name: str, told: Told | None) -> bool:
        return self._plan.wants([name, name.partition(":")[0], *([told.id, told.tag] if told else [])])

    def _result_of(self, check: Check, told: Told) -> Result:
        source = f"{DOCUMENTATION}: {told.tag}" if check.source == DOCUMENTATION else check.source
        result = Result(check.name, source, check.must, SKIPPED)
        result.why = self._obstacle(check, told)
        if result.why:
            return result
        try:
            check = self._filled(check, told)
        except KeyError as error:
            result.why = f"there is no {_noun(str(error.args[0]))} to try it on"
            return result
        if told.method != "GET" and not set(check.ids.values()) <= self._owned | {self._facts["unknown"]}:
            result.why = "it would change something that this run has not made"
            return result
        sent = self._sent(check, told)
        try:
            reply = self._send(sent)
        except NotAnswered as error:
            result.why, result.requests = str(error), [str(sent)]
            if told.id in _UNDONE_BY:
                self.remains.append(f"perhaps something that {told.id} has made: {error}")
            return result
        self._keep(check, told, reply)
        result.requests = [str(sent)]
        result.differences = list(self._judge(check, told, sent, reply))
        result.outcome = DIFFERS if result.differences else PASSED
        return result

    def _obstacle(self, check: Check, told: Told) -> str:
        """Return why a check cannot be made, nothing if it can."""
        if self._exhausted:
            return self._exhausted
        lacks_scope = told.scope is not None and not self._scopes & {told.scope, "*"}
        if "ForbiddenScope" in check.expected:
            return "" if lacks_scope else "the key has the scope, and would have to lack it"
        if check.operation in BILLED and check.headers and not self._plan.credits:
            return "it may cost credits: --credits tries it"
        return f"the key lacks the scope {told.scope}" if lacks_scope and check.headers else ""

    def _filled(self, check: Check, told: Told) -> Check:
        ids = {name: f"{{{name}}}" for name in told.values} if check.url is None else {}
        return replace(
            check,
            **{
                name: self._facts.fill(getattr(check, name))
                for name in ("body", "url", "query", "headers", "details", "then")
            },
            ids=self._facts.fill(ids | dict(check.ids)),
        )

    def _sent(self, check: Check, told: Told) -> Sent:
        content = check.data if check.data is not None else None if check.body is None else encoded(check.body)
        json = {"Content-Type": "application/json"} if content is not None else {}
        url = check.url or self._base_url + path_of(told, check.ids)
        return Sent(told.method, url, json | dict(check.headers), check.query, content)

    def _send(self, sent: Sent) -> Reply:
        try:
            reply = self._client.send(sent)
        except Exhausted as error:
            self._exhausted = str(error)
            self._unanswered += 1
            raise
        except NotAnswered as error:
            self._unanswered += 1
            self._silent += 1
            if self._silent >= _MAX_SILENT:
                self._exhausted = f"{error}, {self._silent} times in a row"
            raise
        self._silent = 0
        return reply

    def _keep(self, check: Check, told: Told, reply: Reply) -> None:
        """Keep the facts that a reply gives, and what has to be taken back."""
        if reply.status >= 300:
            return
        for name, pointer in check.gives.items():
            found = _found(reply, pointer)
            if found is not None:
                self._facts.setdefault(name, found)
        for name in ("id", "influencerId", "jobId", "containerId", "assetId", "uploadId"):
            if told.method != "GET" and isinstance(own := _found(reply, f"/{name}"), str):
                self._owned.add(own)
        if undo := _UNDONE_BY.get(told.id):
            operation, parameter, pointer = undo
            made = _found(reply, pointer)
            if isinstance(made, str) and (operation, parameter, made) not in self._undo:
                self._undo.append((operation, parameter, made))

    def _judge(self, check: Check, told: Told, sent: Sent, reply: Reply) -> Iterator[Difference]:
        name = next((each for each in check.expected if isinstance(each, str) and _is(reply, each)), None)
        found = list(_differences(check, told, reply, name))
        if check.url is None:
            self._everywhere.judge(told, sent, reply, name, is_expected=not found)
        yield from found

    def _clean_up(self) -> None:
        """Take back what was made, the last first; what cannot be is told."""
        gone = set()
        for operation, parameter, made in reversed(self._undo):
            told = self._told[operation]
            sent = Sent(told.method, self._base_url + path_of(told, {parameter: made}), WITH_KEY, {}, None)
            try:
                reply = self._client.send(sent)
            except NotAnswered as error:
                self.remains.append(f"{_noun(parameter)} {made}: {error}")
                continue
            if reply.status < 300 or reply.status == 404:
                gone.add(made)
            else:
                self.remains.append(f"{_noun(parameter)} {made}: {sent.method} was answered with {reply}")
        if self._undo:
            self.remains += [
                f"project {made}, archived, with all that was made in it: the API can delete neither projects nor files"
                for operation, _, made in self._undo
                if operation == "deleteProject" and made in gone
            ]

    def _never_tried(self) -> Iterator[Result]:
        """Yield the operations that no plain check asks for, with the reason."""
        tried = {result.name for result in self._results}
        for told in self._told.values():
            if told.id in tried or not self._is_wanted(told.id, told):
                continue
            why = NOT_TRIED.get(told.id, "it changes something: --write tries it")
            yield Result(told.id, f"{DOCUMENTATION}: {told.tag}", "", SKIPPED, why=why)


def _differences(check: Check, told: Told, reply: Reply, name: str | None) -> Iterator[Difference]:
    """Yield where a reply is not as its check says; `name` is the refusal that it is, or None."""
    if name is None and reply.status not in check.expected:
        yield Difference(" or ".join(map(_expected, check.expected)), _gist(reply))
        return
    if name is not None:
        yield from _refusal_differences(check, told, name, reply)
    elif reply.status != 304:
        for expectation in check.then:
            yield from expectation.differences(reply.body)
    for header, value in check.has.items():
        if reply.headers.get(header) != value:
            yield Difference(f"{header}: {value}", reply.headers.get(header, "no such header"))


def _refusal_differences(check: Check, told: Told, name: str, reply: Reply) -> Iterator[Difference]:
    """Yield where a refusal is not worded as the reference words it, and has not the details that are expected."""
    error = reply.body["error"]
    noun = next((PATH_IDS[each][0] for each in told.values), None)
    wording = {"NotFound": noun and f"{noun} not found.", "Invalid": f"Invalid {_part(told, check)}."}.get(name)
    if wording is not None and error.get("message") != wording:
        yield Difference(f"the message is {wording}", str(error.get("message")))
    yield from Shows(check.details or {}).differences({"details": error.get("details")})


def _part(told: Told, check: Check) -> str:
    return "query" if told.method == "GET" else "body"


def _is(reply: Reply, name: str) -> bool:
    return (reply.status, reply.code) == (ERRORS[name].status, ERRORS[name].code)


def _expected(each: int | str) -> str:
    return str(each) if isinstance(each, int) else f"{ERRORS[each].status} {ERRORS[each].code}"


def _found(reply: Reply, pointer: str) -> Any:
    """Return what is at a pointer in the JSON of a reply, or in the header after a colon; None if there is none."""
    if pointer.startswith(":"):
        return str(reply.status) if pointer == ":status" else reply.headers.get(pointer[1:])
    value = reply.body
    for step in pointer.split("/")[1:]:
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _noun(fact: str) -> str:
    """Return the noun of an id, or the name of a fact as words."""
    return PATH_IDS[fact][0].lower() if fact in PATH_IDS else re.sub("([A-Z])", r" \1", fact).lower()


def _unless(holds: bool, expected: str, received: str) -> list[Difference]:
    return [] if holds else [Difference(expected, received or "nothing")]


def _gist(reply: Reply) -> str:
    return str(reply) if reply.body is not None else f"{reply.status} {' '.join(reply.text.split())[:60]}".rstrip()
