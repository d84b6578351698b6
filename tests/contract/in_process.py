"""What is seen from inside the app, without gunicorn: its routes, and what it says when its own code fails."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial, wraps
from io import StringIO
from typing import Any, NoReturn

from conftest import DEMO
from flask import Flask

from contract.answers import Answers
from contract.documented import OPERATIONS
from contract.replies import GIF
from contract.service import path_of
from layers_standin.openapi.document import openapi_path
from layers_standin.web.operations import Handler, Operation


def routes(app: Flask) -> set[tuple[str, str]]:
    """Return the method and path of every route, in the words of OpenAPI."""
    return {(method, openapi_path(rule.rule)) for rule in app.url_map.iter_rules() for method in rule.methods or ()}


def crash(app: Flask, answers: Answers) -> None:
    """A bug is planted in what the operation itself does; asked without gunicorn."""
    app.view_functions = {name: _spoiled(view) for name, view in app.view_functions.items()}
    with _silence(), app.test_client() as client:
        for told in OPERATIONS:
            content = {"data": GIF} if told.id == "putUpload" else {"json": told.bodies[0]}
            answers.note(
                told,
                client.open(path_of(told, {}), method=told.method, query_string=told.query, headers=DEMO, **content),
            )


def _spoiled(view: Any) -> Any:
    """Return a view that is as before up to its operation, or without one up to the store, and fails there."""
    if not isinstance(view, partial):
        return view
    first, *others = view.args
    spoiled = replace(first, handler=_failing(first.handler)) if isinstance(first, Operation) else _Broken()
    return partial(view.func, spoiled, *others)


def _failing(handler: Handler) -> Handler:
    @wraps(handler)
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("a bug, planted")

    return fail


class _Broken:
    """Stands where a store and its media should, and fails at every touch."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("a bug, planted")


@contextmanager
def _silence() -> Iterator[None]:
    """Let nothing be logged: neither every request nor every crash."""
    logger = logging.getLogger("standin")
    logger.disabled = True
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logger.disabled = False
