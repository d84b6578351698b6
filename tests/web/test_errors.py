"""Errors: their table, with nothing in it that no request can provoke; crashes; and a store that takes no writes."""

import json
import logging
import re
from dataclasses import replace
from urllib.parse import urlsplit
from uuid import uuid4

import apsw
import pytest
from api_helpers import AVA_PICTURES, CRASHED, SPRING, UNAVAILABLE, UNCONFIRMED, key_of, refused, unchanged
from conftest import AVA_PATH, DEMO, only_sqlite
from content_helpers import made_content
from post_helpers import made_account
from request_helpers import CHANGES, ROUTES, is_replay, picture_url, sender
from servers import ROOT

from app import create_app
from layers_standin.domain.errors import StoreError
from layers_standin.domain.tables import INDEXES
from layers_standin.engines.errors import EngineError, Unavailable, Unconfirmed
from layers_standin.engines.sqlite.connections import CHECKSUM_VFS, load_checksums
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.errors import STATUS, STATUS_OF_CODE, Refusal, refusal
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

    def schedule(self, approval, what="schedule"):
        organization = self.store.for_organization(self.organization)
        container, _ = made_content(self._rooms, organization.organization, SPRING)
        organization.tables.put("containers", container | {"approval": {"status": approval}})
        account = made_account(organization, SPRING)
        body = {"targets": [{"socialAccountId": account["socialAccountId"], "mode": "direct_publish"}]}
        body |= {"scheduledFor": "2026-04-18T10:00:00Z"} if what == "schedule" else {}
        return self.client().post(f"/v1/content/{container['id']}/{what}", json=body, headers=DEMO)

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
    "RETURN_URL_NOT_ALLOWED": lambda service: service.client().post(
        f"/v1/projects/{SPRING}/social/oauth-url",
        json={"platform": "tiktok", "returnUrl": "https://evil.example/"},
        headers=DEMO,
    ),
    "APPROVAL_REQUIRED": lambda service: service.schedule("pending", "publish"),
    "CONTENT_REJECTED": lambda service: service.schedule("rejected"),
    "NOT_FOUND": lambda service: service.client().get("/v1/influencers/inf_x", headers=DEMO),
    "METHOD_NOT_ALLOWED": lambda service: service.client().put(AVA_PATH),
    "CONFLICT": lambda service: service.client().post(
        "/v1/projects", json={"id": SPRING, "name": "P", "timezone": "UTC"}, headers=DEMO
    ),
    "IDEMPOTENCY_CONFLICT": Service.twice,
    "PRECONDITION_FAILED": lambda service: service.client().get("/openapi.json", headers={"If-Match": '"x"'}),
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


def all_subclasses(kind):
    return [sub for direct in kind.__subclasses__() for sub in (direct, *all_subclasses(direct))]


@pytest.mark.parametrize("error", all_subclasses(StoreError) + all_subclasses(Refusal))
def test_every_error_has_a_status_and_it_is_that_of_its_code(error):
    assert STATUS[error] == STATUS_OF_CODE[error.code]


@pytest.mark.parametrize("error", [EngineError, *all_subclasses(EngineError)])
def test_every_error_of_the_engine_is_a_503(error, tmp_path):
    made = error.__new__(error)

    status, body = refusal(made, "req_01")

    message = UNCONFIRMED["message"] if issubclass(error, Unconfirmed) else UNAVAILABLE["message"]
    assert status == 503
    assert json.loads(body) == {"error": {"code": "UNAVAILABLE", "message": message, "requestId": "req_01"}}


def test_the_codes_and_statuses_are_those_of_the_contract():
    assert STATUS_OF_CODE == {
        "UNAUTHENTICATED": 401,
        "FORBIDDEN_SCOPE": 403,
        "FORBIDDEN": 403,
        "RETURN_URL_NOT_ALLOWED": 403,
        "APPROVAL_REQUIRED": 403,
        "NOT_FOUND": 404,
        "METHOD_NOT_ALLOWED": 405,
        "CONFLICT": 409,
        "CONTENT_REJECTED": 409,
        "IDEMPOTENCY_CONFLICT": 409,
        "PRECONDITION_FAILED": 412,
        "PAYLOAD_TOO_LARGE": 413,
        "RANGE_NOT_SATISFIABLE": 416,
        "VALIDATION": 422,
        "RATE_LIMITED": 429,
        "INTERNAL": 500,
        "KILL_SWITCH": 503,
        "UNAVAILABLE": 503,
    }


# Crashes, and a store that takes no writes


class CrashingStore(Store):
    def patch_influencer(self, influencer_id, patch):
        super().patch_influencer(influencer_id, patch)
        raise RuntimeError("what only the log may say")


@pytest.mark.postgres
def test_a_crash_is_answered_without_its_trace_logged_and_undone(rooms, settings, clock, on_disk, caplog):
    client = create_app(Services(CrashingStore(rooms.store.db, clock), rooms.media, settings)).test_client()
    before, is_unchanged = client.get(AVA_PATH, headers=DEMO).json, unchanged(on_disk)

    for headers in (DEMO, DEMO | {"Idempotency-Key": "once"}, DEMO | {"Idempotency-Key": "once"}):
        caplog.clear()
        response = client.patch(AVA_PATH, json={"vibe": "x"}, headers=headers)

        assert refused(response) == CRASHED
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert response.headers["X-Request-Id"] in record.getMessage()
        assert "what only the log may say" in caplog.text
    assert is_unchanged()
    assert client.get(AVA_PATH, headers=DEMO).json == before


@pytest.mark.postgres
def test_a_key_whose_request_crashed_can_be_used_again(rooms, settings, clock):
    crashing = create_app(Services(CrashingStore(rooms.store.db, clock), rooms.media, settings)).test_client()
    sound = create_app(Services(Store(rooms.store.db, clock), rooms.media, settings)).test_client()

    assert refused(sender(crashing, "PATCH", AVA_PATH, headers=DEMO)({"vibe": "x"})) == CRASHED
    accepted = sender(sound, "PATCH", AVA_PATH, headers=DEMO)({"vibe": "y"})

    assert (accepted.status_code, is_replay(accepted)) == (200, False)


class Valve(apsw.VFS):
    """The file system of a store, which lets writes and syncs through until it is shut."""

    def __init__(self, name, error):
        load_checksums()
        super().__init__(name, CHECKSUM_VFS)
        self.name, self.is_shut, self._error = name, False, error

    def xOpen(self, name, flags):  # noqa: N802
        return ValveFile(self, name, flags)

    def pass_through(self):
        if self.is_shut:
            raise self._error


class ValveFile(apsw.VFSFile):
    def __init__(self, valve, name, flags):
        super().__init__(CHECKSUM_VFS, name, flags)
        self._valve = valve

    def xWrite(self, data, offset):  # noqa: N802
        self._valve.pass_through()
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802
        self._valve.pass_through()
        super().xSync(flags)


@pytest.fixture(params=[apsw.FullError("no space left"), apsw.IOError("input/output error")], ids=["full", "broken"])
def valve(request):
    """A valve with a name of its own: SQLite knows it as long as it is there."""
    valve = Valve(f"valve-{uuid4()}", request.param)
    yield valve
    valve.unregister()


@pytest.fixture
def behind_valve(rooms, settings, valve, clock):
    """A client of the store of `rooms`, whose file lies behind the valve."""
    rooms.store.db.close()
    db = SQLite(settings.data, indexes=INDEXES, vfs=valve.name)
    yield create_app(Services(Store(db, clock), rooms.media, settings)).test_client()
    db.close()


@only_sqlite
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_store_that_takes_no_writes_says_so_shows_the_old_state_and_takes_them_again(
    behind_valve, valve, caplog, method, path, body
):
    client = behind_valve
    before = client.get(AVA_PATH, headers=DEMO).data
    valve.is_shut = True

    for key in ("once", "once", "twice"):
        response = sender(client, method, path, headers=DEMO)(body, key)
        assert refused(response) == UNAVAILABLE
        assert response.headers["X-Request-Id"] in caplog.text
    assert client.get(AVA_PATH, headers=DEMO).data == before

    valve.is_shut = False
    assert client.get(AVA_PATH, headers=DEMO).data == before
    accepted = sender(client, method, path, headers=DEMO)(body)
    assert (accepted.status_code, is_replay(accepted)) == (200, False)
    assert is_replay(sender(client, method, path, headers=DEMO)(body))


@only_sqlite
def test_health_is_unavailable_exactly_as_long_as_the_store_takes_no_writes(behind_valve, valve):
    before = behind_valve.get("/_standin/health").json
    valve.is_shut = True
    for _ in range(2):
        assert refused(behind_valve.get("/_standin/health")) == UNAVAILABLE
        assert behind_valve.get("/v1/whoami", headers=DEMO).status_code == 200
    valve.is_shut = False
    assert before["status"] == "ready"
    assert behind_valve.get("/_standin/health").json == before


@only_sqlite
@pytest.mark.parametrize("lost", ["file", "folder"])
def test_while_the_file_of_the_store_is_gone_nothing_is_served_and_nothing_crashes(demo, rooms, on_disk, caplog, lost):
    picture, before, is_unchanged = picture_url(rooms), demo.get(AVA_PATH).data, unchanged(on_disk)
    place = rooms.store.db.path if lost == "file" else rooms.settings.data
    elsewhere = place.rename(place.with_name("elsewhere"))

    for method, path, body in [*ROUTES, ("GET", picture, None), ("PUT", "/v1/uploads/x", None)]:
        for headers in ({}, {"Idempotency-Key": "once"}):
            response = demo.open(path, method=method, json=body, headers=headers)
            assert refused(response) == UNAVAILABLE
            assert response.headers["X-Request-Id"] in caplog.text

    elsewhere.rename(place)
    assert is_unchanged()
    assert demo.get(AVA_PATH).data == before
    assert demo.patch(AVA_PATH, json={"vibe": "x"}, headers={"Idempotency-Key": "once"}).json["vibe"] == "x"
