"""Servers that keep the contract but for one thing: middleware around the app, which alters what passes."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import BytesIO, StringIO
from typing import Any

import httpx
import orjson
from werkzeug.wrappers import Request, Response

from app import document
from layers_standin.conform.client import Client
from layers_standin.conform.run import Plan, Report, Run
from layers_standin.domain.keys import DEMO_KEY

BASE_URL = "http://localhost"
DOCUMENT = document(BASE_URL)
Ask = Callable[[Request], Response]
Plant = Callable[[Request, Ask], Response]  # takes a request, and what answers it truly; returns what is answered


class Planted:
    """A WSGI application with a difference; `seen` are the methods and paths of all requests."""

    def __init__(self, app: Any, plant: Plant | None = None) -> None:
        self._app, self._plant = app, plant
        self.seen: list[tuple[str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        environ["standin.body"] = request.get_data()
        self.seen.append((request.method, request.path))
        response = self._true(request) if self._plant is None else self._plant(request, self._true)
        return response(environ, start_response)

    def _true(self, request: Request) -> Response:
        body = BytesIO(request.environ["standin.body"])  # a plant may have read it
        return Response.from_app(self._app, {**request.environ, "wsgi.input": body})


def conformance(app: Any, plant: Plant | None = None, key: str = DEMO_KEY, **plan: Any) -> Report:
    """Return the report on an app with a difference."""
    return asked(Planted(app, plant), key, **plan)


def asked(
    served: Planted, key: str = DEMO_KEY, sleep: Callable[[float], object] = lambda _: None, **plan: Any
) -> Report:
    with httpx.Client(transport=httpx.WSGITransport(served)) as http, silence():
        return Run(Client(http, key, sleep), BASE_URL, DOCUMENT, Plan(**plan)).report()


@contextmanager
def silence() -> Iterator[None]:
    """Let the access log not be written: hundreds of lines for each test that fails."""
    logger = logging.getLogger("standin")
    before, logger.disabled = logger.disabled, True
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logger.disabled = before


def altered(response: Response, body: Any) -> Response:
    """Return a response with another body."""
    response.set_data(orjson.dumps(body))
    return response
