"""The table of errors: nothing in it that no request can provoke, and no error outside it."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from api_helpers import AVA_PICTURES, SPRING, key_of, refused
from conftest import AVA_PATH, DEMO
from servers import ROOT

from app import create_app
from layers_standin.domain.errors import StoreError
from layers_standin.engines.errors import EngineError, Unavailable
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.errors import STATUS, STATUS_OF_CODE, Refusal
from store import Store

SOURCE = [*ROOT.glob("*.py"), *ROOT.glob("layers_standin/**/*.py")]
ERRORS = [*StoreError.__subclasses__(), *Refusal.__subclasses__()]


class FailingStore(Store):
    """A store in which a change of an influencer goes wrong in a given way."""

    failure: Exception

    def patch_influencer(self, influencer_id, patch):
        raise self.failure


class Service:
    """The service with all that a case below may want to change of it."""

    def __init__(self, rooms: Services) -> None:
        self._rooms, self._settings = rooms, rooms.settings
        self.store = rooms.store

    def client(self, store: Store | None = None, **settings):
        changed: Settings = replace(self._settings, **settings)
        return create_app(Services(store or self.store, self._rooms.media, changed)).test_client()

    def patch(self, key=DEMO, body=None, client=None, once=None):
        headers = key | ({"Idempotency-Key": once} if once else {})
        return (client or self.client()).patch(AVA_PATH, json={"vibe": "x"} if body is None else body, headers=headers)

    def failing(self, failure: Exception):
        kind = type("Failing", (FailingStore,), {"failure": failure})
        return self.patch(client=self.client(kind(self.store.db, self.store.now)))

    def limited(self, key):
        client = self.client(rate_limits=True)
        return [client.post(f"/v1/projects/{SPRING}/influencers", json={}, headers=key) for _ in range(21)][-1]

    def part(self, of_bytes):
        client = self.client()
        attached = client.post(f"{AVA_PATH}/reference-images", json={"assetIds": AVA_PICTURES}, headers=DEMO)
        path = urlsplit(attached.json["referenceImages"][0]["url"]).path
        with client.get(path, headers={"Range": f"bytes={of_bytes}"}, buffered=True) as response:
            return response

    def killed(self):
        self.store.for_organization(self.organization).keys.kill(self.store.keys.find("DEM0DEM0DEM0DEM0")["apiKeyId"])
        return self.patch()

    def twice(self):
        client = self.client()
        return [self.patch(client=client, body={"vibe": vibe}, once="one") for vibe in "ab"][-1]

    @property
    def organization(self):
        return self.store.organizations.all()[0]["id"]


# A request for each code.
PROVOKED = {
    "UNAUTHENTICATED": lambda service: service.patch(key={}),
    "FORBIDDEN_SCOPE": lambda service: service.patch(key=key_of(service.store, service.organization)),
    "FORBIDDEN": lambda service: service.client().put("/v1/uploads/forged", data=b"x"),
    "NOT_FOUND": lambda service: service.client().get("/v1/influencers/inf_x", headers=DEMO),
    "METHOD_NOT_ALLOWED": lambda service: service.client().put(AVA_PATH),
    "CONFLICT": lambda service: service.client().post(
        "/v1/projects", json={"id": SPRING, "name": "P", "timezone": "UTC"}, headers=DEMO
    ),
    "IDEMPOTENCY_CONFLICT": Service.twice,
    "PAYLOAD_TOO_LARGE": lambda service: service.patch(body={"name": "a" * 2**20}),
    "RANGE_NOT_SATISFIABLE": lambda service: service.part("999999999-"),
    "VALIDATION": lambda service: service.patch(body={}),
    "RATE_LIMITED": lambda service: service.limited(DEMO),
    "INTERNAL": lambda service: service.failing(RuntimeError("a bug")),
    "KILL_SWITCH": Service.killed,
    "UNAVAILABLE": lambda service: service.failing(Unavailable("The disk is full.")),
}


def test_every_code_of_the_table_has_a_request_that_provokes_it():
    assert PROVOKED.keys() == STATUS_OF_CODE.keys()


@pytest.mark.parametrize("code", PROVOKED)
def test_a_code_is_reached_with_its_status(rooms, code):
    error = refused(PROVOKED[code](Service(rooms)))

    assert (error["code"], error["status"]) == (code, STATUS_OF_CODE[code])


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_the_status_of_its_code_and_somebody_raises_it(error):
    assert STATUS[error] == STATUS_OF_CODE[error.code]
    assert any(re.search(rf"\braise {error.__name__}\b", path.read_text("utf-8")) for path in SOURCE)


def test_no_error_is_outside_the_table():
    assert STATUS.keys() == {*ERRORS, EngineError}
    assert not [below for error in ERRORS for below in error.__subclasses__()]
    assert {error.code for error in ERRORS} <= STATUS_OF_CODE.keys()


@pytest.mark.parametrize("code, status", STATUS_OF_CODE.items())
def test_every_code_is_in_one_class_of_statuses(code, status):
    assert (400 <= status < 500) == (code not in ("INTERNAL", "KILL_SWITCH", "UNAVAILABLE"))
