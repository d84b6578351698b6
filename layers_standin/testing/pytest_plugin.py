"""The pytest plugin: the fixtures `layers_standin` and `layers`.

It is imported at the start of every pytest run where this package is installed, so it imports nothing but pytest; the
stand-in is started by the first test that asks for it. With pytest-xdist it is the controller that starts it, for it
outlives each of its workers, and all of them share it.
"""

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from layers_standin.testing.control import Organization, Service
    from layers_standin.testing.process import StandIn

_ADDRESS, _KEY, _CONTROLLER = "layers_standin_address", "layers_standin_key", "layers_standin_controller"


@pytest.fixture(scope="session")
def layers_standin_settings() -> dict[str, Any]:
    """Settings of the stand-in, as StandIn takes them; override this in a conftest.py."""
    return {}


@pytest.fixture(scope="session")
def layers_standin(request: pytest.FixtureRequest, layers_standin_settings: dict[str, Any]) -> "Iterator[Service]":
    """A stand-in with data of its own, one for the whole run; or the one that LAYERS_STANDIN_URL names."""
    from layers_standin.testing.control import Service, StandInError
    from layers_standin.testing.process import StandIn, attached

    given, workerinput = attached(os.environ), getattr(request.config, "workerinput", {})
    try:
        if given is not None:
            given.command("GET", "health")
            yield given
        elif _ADDRESS in workerinput:
            yield Service(*_ask_controller(workerinput, layers_standin_settings))
        else:
            with StandIn(**layers_standin_settings) as standin:
                yield standin
    except StandInError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def layers(layers_standin: "Service") -> "Iterator[Organization]":
    """An organization of this test's own: base_url, api_key, headers; clock, faults, requests, webhooks."""
    organization = layers_standin.organization()
    yield organization
    if os.environ.get("LAYERS_STANDIN_URL"):  # it goes on after the tests
        organization.delete()


def _ask_controller(workerinput: dict[str, Any], settings: dict[str, Any]) -> tuple[str, str | None]:
    """Return URL and token of the stand-in that the controller has started, or starts now."""
    from multiprocessing.connection import Client

    from layers_standin.testing.control import StandInError

    with Client(tuple(workerinput[_ADDRESS]), authkey=bytes.fromhex(workerinput[_KEY])) as connection:
        connection.send(settings)
        url, token, failure = connection.recv()
    if failure is not None:
        raise StandInError(failure)
    return url, token


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist whom to ask for the stand-in: a thread of its controller."""
    plugins = node.config.pluginmanager
    if not plugins.hasplugin(_CONTROLLER):
        plugins.register(_Controller(), _CONTROLLER)
    node.workerinput |= plugins.getplugin(_CONTROLLER).address


class _Controller:
    """In the controller of pytest-xdist: answers its workers' question for the stand-in."""

    def __init__(self) -> None:
        from multiprocessing.connection import Listener

        key = os.urandom(32)
        self._listener = Listener(("127.0.0.1", 0), authkey=key)
        self._standin: StandIn | None = None
        self.address = {_ADDRESS: list(self._listener.address), _KEY: key.hex()}
        threading.Thread(target=self._answer, daemon=True).start()

    def pytest_unconfigure(self) -> None:
        """Stop the stand-in after the last worker has ended."""
        self._listener.close()
        if self._standin is not None:
            self._standin.stop()

    def _answer(self) -> None:
        from multiprocessing import AuthenticationError

        while True:
            try:
                with self._listener.accept() as connection:
                    connection.send(self._started(connection.recv()))
            except AuthenticationError:  # of another program
                continue
            except (OSError, EOFError):  # closed
                return

    def _started(self, settings: dict[str, Any]) -> tuple[str, str | None, str | None]:
        """Return URL and token of the stand-in, or the reason why there is none."""
        from layers_standin.testing.control import StandInError
        from layers_standin.testing.process import StandIn

        try:
            if self._standin is None:
                self._standin = StandIn(**settings).start()
        except StandInError as error:
            return "", None, str(error)
        return self._standin.base_url, self._standin.token, None
