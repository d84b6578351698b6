"""A service under gunicorn on a temporary folder, with all in it that the document's examples need; and who asks it."""

import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from api_helpers import new_organization
from conftest import DEMO
from openapi_helpers import plant_examples
from servers import PATIENCE_SECONDS, seeded, serving
from werkzeug.wrappers import Response

from contract.answers import Answers
from contract.documented import BY_ID
from layers_standin.conform.document import Told
from layers_standin.domain.keys import public_id_of
from layers_standin.openapi import examples
from layers_standin.services import Services, open_media
from layers_standin.settings import Settings

TOKEN = "a-token-for-the-control-plane"
JOB_SECONDS = 10
_BEGINNING = "the-beginning"  # the snapshot that everything is put back to


class Keys(NamedTuple):
    """Keys that do not open everything: without a scope, switched off, and of another organization."""

    scopeless: str
    killed: str
    foreign: str


class Service:
    """Asks one running service, and notes what it answers."""

    def __init__(
        self, client: httpx.Client, folder: Path, keys: Keys, answers: Answers, token: str | None = None
    ) -> None:
        self.folder, self.keys = folder, keys
        self._client, self._answers = client, answers
        self._is_touched = True
        self._admission = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(
        self,
        operation: str | Told,
        body: Any = None,
        *,
        data: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **values: str,
    ) -> Response:
        """Request an operation; path and query are the document's examples, headers those that open it, unless said.

        The body is JSON, or bytes if it is `data`.
        """
        told = BY_ID[operation] if isinstance(operation, str) else operation
        opening = self._admission if told.is_control else DEMO
        content: dict[str, Any] = {"content": data} if data is not None else {} if body is None else {"json": body}
        received = self._client.request(
            told.method,
            path_of(told, values),
            params=told.query if query is None else query,
            headers=opening if headers is None else headers,
            **content,
        )
        response = Response(received.content, received.status_code, list(received.headers.multi_items()))
        self._answers.note(told, response)
        self._is_touched |= told.method != "GET" and response.status_code < 300
        return response

    def send(self, operation: Told, request: bytes) -> Response:
        """Send the bytes of a request, and none after them; note the response."""
        url = self._client.base_url
        with socket.create_connection((url.host, url.port or 80), PATIENCE_SECONDS) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            received = HTTPResponse(connection)
            received.begin()
            response = Response(received.read(), received.status, received.getheaders())
        self._answers.note(operation, response)
        return response

    def fresh(self) -> None:
        """Put everything back to how it was in the beginning."""
        if not self._is_touched:
            return
        self.ask("restoreSnapshot", name=_BEGINNING)
        self.ask("createSnapshot", {"name": examples.SNAPSHOT})
        self._is_touched = False

    def keep_beginning(self) -> None:
        """Let this be the beginning. The clock stands still from now on, and the job of the examples is over."""
        self.ask("setClock", {"mode": "frozen"})
        self.ask("setClock", {"advance": "PT1H"})
        self.ask("createSnapshot", {"name": _BEGINNING})

    @contextmanager
    def without(self, place: Path) -> Iterator[None]:
        """While the block runs, let a link to itself stand for a file or folder of the service's data."""
        elsewhere = place.rename(place.with_name("elsewhere"))
        place.symlink_to(place.name)
        try:
            yield
        finally:
            place.unlink()
            elsewhere.rename(place)


class Running(NamedTuple):
    """One as it comes, and others that are set up so that they refuse more."""

    plain: Service
    strict: Service
    closed: Service
    seedless: Service


def path_of(told: Told, values: Mapping[str, str]) -> str:
    """Return the path with these values in it, the document's examples where there are none."""
    path = told.path
    for name, example in told.values.items():
        path = path.replace(f"{{{name}}}", quote(values.get(name, example), safe=""))
    return path


@contextmanager
def running(folder: Path, answers: Answers) -> Iterator[Running]:
    """Run all the services until the block is left."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:

        def start(name: str) -> Service:
            return stack.enter_context(_service(folder / name, answers, _SETTINGS[name]))

        yield Running(*pool.map(start, Running._fields))


_SETTINGS: dict[str, dict[str, str]] = {
    "plain": {"WEB_CONCURRENCY": "2"},
    "strict": {"STANDIN_RATE_LIMITS": "on", "STANDIN_CONTROL": TOKEN},
    "closed": {"STANDIN_CONTROL": "off"},
    "seedless": {"STANDIN_SEED": "none"},
}
_COMMON = {"WEB_CONCURRENCY": "1", "STANDIN_SYNC": "never", "STANDIN_JOB_SECONDS": str(JOB_SECONDS)}


@contextmanager
def _service(folder: Path, answers: Answers, settings: dict[str, str]) -> Iterator[Service]:
    keys = _furnished(folder)
    token = TOKEN if settings.get("STANDIN_CONTROL") == TOKEN else None
    with (
        serving(folder, **_COMMON | settings) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client,
    ):
        yield Service(client, folder, keys, answers, token)


def _furnished(folder: Path) -> Keys:
    """Fill a new store with what examples and refusals need."""
    settings = Settings(data=folder, sync=False)
    with seeded(folder) as store:
        plant_examples(Services(store, open_media(settings), settings))
        scopeless, killed = (
            store.for_organization(examples.ORGANIZATION).keys.create([], name) for name in ("Scopeless", "Killed")
        )
        foreign = store.for_organization(new_organization(store)).keys.create(["*"], "Foreign")
        store.signing_key()
        document = store.keys.find(public_id_of(killed))
        assert document is not None
        store.for_organization(examples.ORGANIZATION).keys.kill(document["apiKeyId"])
    return Keys(scopeless, killed, foreign)
