"""`StandIn` and its helpers, as another project's tests use them: a child process, its end, and what it says."""

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from servers import PATIENCE_SECONDS, eventually

from layers_standin import StandIn
from layers_standin.testing.control import Organization, StandInError

pytestmark = pytest.mark.slow

REFUSED = "--ephemeral has a temporary folder of its own: leave out --data."


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    with StandIn(job_seconds=3) as started:
        yield started


@pytest.fixture
def layers(standin: StandIn) -> Organization:
    return standin.organization()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary folders."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def create_project(layers: Organization) -> str:
    return str(layers.call("POST", "/v1/projects", {"name": "Spring", "timezone": "UTC"})["id"])


def test_its_import_brings_neither_the_service_nor_any_other_package():
    program = "import sys; from layers_standin import StandIn; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], encoding="utf-8").split()
    assert not {"flask", "httpx", "click", "marshmallow", "layers_standin.application", "app"} & set(loaded)


def test_nothing_of_it_is_left_when_the_block_ends_in_an_exception(temporary):
    with pytest.raises(ZeroDivisionError), StandIn() as standin:
        url = standin.base_url
        assert len(list(temporary.iterdir())) == 1
        raise ZeroDivisionError
    assert list(temporary.iterdir()) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_it_takes_settings_and_starts_again_with_nothing_in_it(standin):
    again = StandIn(job_seconds=0, STANDIN_RATE_LIMITS="on", console=False, workers=2)
    for _ in range(2):
        with again as started:
            layers = started.organization("Mine", scopes=["projects:write", "projects:read", "influencers:write"])
            assert httpx.get(f"{started.base_url}/console", timeout=PATIENCE_SECONDS).status_code == 404
            assert started.command("GET", "organizations")["items"][0]["name"] == "Mine"
            assert started.command("GET", "health")["counts"]["organizations"] == 1
            assert layers.call("POST", f"/v1/projects/{create_project(layers)}/influencers", {"name": "Rui"})["jobId"]
    again.stop()  # without effect


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"job_second": 1}, "There is no setting STANDIN_JOB_SECOND; did you mean STANDIN_JOB_SECONDS?"),
        ({"job_seconds": "soon"}, "STANDIN_JOB_SECONDS must be"),
        ({"port": 70_000}, "Invalid value for '--port'"),
        ({"seed": "no-such-file"}, "STANDIN_SEED must be"),
        ({"host": "nowhere.invalid"}, "Cannot listen on nowhere.invalid"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(temporary, settings, said):
    with pytest.raises(StandInError, match=f"^The stand-in did not start: .*{re.escape(said)}"):
        StandIn(**settings).start()
    eventually(lambda: not list(temporary.iterdir()), "the end of the folder")


def test_a_port_that_is_taken_is_told(standin):
    port = standin.base_url.rpartition(":")[2]
    with pytest.raises(StandInError, match=f"did not start: Port {port} of 127.0.0.1 is taken by another program"):
        StandIn(port=port).start()


@pytest.mark.parametrize("moment", ["start", "served"])
def test_it_ends_when_its_parent_is_killed(temporary, moment):
    program = (
        "from layers_standin import StandIn\n"
        "import time, tempfile, threading\n"
        "standin = StandIn()\n"
        "threading.Thread(target=standin.start).start()\n"
        f"while {moment == 'served'} and not standin.base_url: time.sleep(0.01)\n"
        "print(standin.base_url, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, encoding="utf-8") as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        eventually(lambda: list(temporary.iterdir()), "the start of the stand-in")
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: not list(temporary.iterdir()), "the end of the stand-in")
    if url:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_one_that_is_killed_is_told_of_and_removed(temporary):
    with StandIn() as standin:
        assert standin._process is not None
        standin._process.kill()
        eventually(lambda: not list(temporary.iterdir()), "the end of the stand-in")
        with pytest.raises(StandInError, match=f"^There is no stand-in at {standin.base_url}"):
            standin.organization()


def test_without_a_pipe_as_its_input_it_serves_until_it_is_told_to_end(temporary):
    command = [sys.executable, "-m", "layers_standin", "--ephemeral"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        found = re.search(r"listens on (\S+) and keeps its data in (\S+)\.$", process.stdout.readline())
        assert found is not None
        assert Path(found[2]).is_relative_to(temporary)
        assert httpx.get(f"{found[1]}/_standin/health", timeout=PATIENCE_SECONDS).json()["counts"]["organizations"] == 0
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        process.stdout.read()  # it ends with the last process
    assert list(temporary.iterdir()) == []


def test_a_folder_of_data_is_refused_beside_a_temporary_one():
    command = [sys.executable, "-m", "layers_standin", "serve", "--ephemeral", "--data=here"]
    ended = subprocess.run(
        command, stdin=subprocess.PIPE, capture_output=True, encoding="utf-8", check=False, timeout=PATIENCE_SECONDS
    )
    assert (ended.returncode, ended.stderr) == (1, f"{REFUSED}\n")


def test_the_clock_takes_instants_and_durations_in_each_form(layers):
    start = datetime(2026, 4, 18, 9, tzinfo=UTC)
    assert layers.clock.freeze("2026-04-18T09:00:00Z") == start
    assert layers.clock.freeze(start) == layers.clock.now() == start
    assert layers.clock.advance("PT2S") == start + timedelta(seconds=2)
    assert layers.clock.advance(1.5) == start + timedelta(seconds=3.5)
    assert layers.clock.advance(timedelta(hours=-1)) == start + timedelta(seconds=3.5, hours=-1)
    assert layers.clock.shift("P1D") - datetime.now(UTC) > timedelta(hours=23)
    layers.clock.reset()
    assert layers.command("GET", "clock")["inherited"]


def test_a_fault_strikes_as_often_as_it_is_told_and_only_here(layers, standin):
    rule = layers.faults.add("createProject", code="RATE_LIMITED", times=1, retry_after=7)
    assert (rule["times"], rule["answer"]) == (1, {"code": "RATE_LIMITED", "retryAfter": 7})
    create_project(standin.organization())
    with pytest.raises(StandInError, match=r"^POST /v1/projects: 429 Too many requests\.$"):
        create_project(layers)
    create_project(layers)
    assert [each["used"] for each in layers.faults.all()] == [1]
    by_path = layers.faults.add(method="GET", path="/v1/projects", delayMs=1)
    assert by_path["match"] == {"method": "GET", "path": "/v1/projects"}
    layers.faults.remove(rule["id"])
    layers.faults.clear()
    assert layers.faults.all() == []


def test_a_fault_answers_with_its_body_what_another_body_asks(layers):
    layers.faults.add("createProject", status=502, body="<h1>Bad gateway</h1>", match={"body": {"name": "Spring"}})
    with pytest.raises(StandInError, match=r"^POST /v1/projects: 502 "):
        layers.call("POST", "/v1/projects", {"name": "Spring", "timezone": "UTC"})
    layers.call("POST", "/v1/projects", {"name": "Autumn", "timezone": "UTC"})


def test_a_preset_is_added_by_its_name(layers):
    rules = layers.faults.add_preset("flaky-gateway")
    assert [rule["preset"] for rule in rules] == ["flaky-gateway"] * len(rules) != []
    assert layers.faults.all() == rules


def test_a_refused_command_says_which_field_is_wrong(layers):
    with pytest.raises(StandInError, match=r"^POST /_standin/faults: 422 .*createProjekt|operation"):
        layers.faults.add("createProjekt", code="RATE_LIMITED")
    with pytest.raises(StandInError, match=r"^POST /_standin/faults: 422 .*answer: .*RATE_LIMITED"):
        layers.faults.add("createProject", code="RATE")
    with pytest.raises(StandInError, match=r"^PUT /_standin/clock: 422 .*advance: Invalid duration: say PT15M"):
        layers.clock.advance("two seconds")


def test_calls_are_counted_and_a_failure_shows_what_came(layers):
    create_project(layers)
    create_project(layers)
    assert [call["status"] for call in layers.requests.called("createProject", times=2)] == [201, 201]
    assert len(layers.requests.called("createProject")) == 2
    assert layers.requests.called("deleteInfluencer", times=0) == []
    with pytest.raises(AssertionError) as failure:
        layers.requests.called("createProject", times=1)
    line = '  POST /v1/projects 201 createProject {"name": "Spring", "timezone": "UTC"}'
    assert str(failure.value).splitlines() == [
        "createProject was to be called once, and was called 2 times.",
        "These calls came, the newest last:",
        line,
        line,
    ]
    layers.requests.clear()
    assert layers.requests.all() == []


def test_calls_without_a_key_are_shown_when_none_came_with_one(layers):
    assert httpx.get(f"{layers.base_url}/v1/projects", timeout=PATIENCE_SECONDS).status_code == 401
    with pytest.raises(AssertionError) as failure:
        layers.requests.called("listProjects")
    assert str(failure.value).splitlines() == [
        "listProjects was to be called at least once, and was called never.",
        "No call came with the key of this organization.",
        "Refused, for they had no valid key:",
        "  GET /v1/projects 401 listProjects",
    ]


def test_an_inbox_gets_what_is_due_by_the_clock(layers):
    layers.clock.freeze("2026-04-18T09:00:00Z")
    inbox = layers.webhooks.inbox("job.completed")
    other = layers.webhooks.inbox(name="other")
    layers.call("POST", f"/v1/projects/{create_project(layers)}/influencers", {"name": "Rui"})
    assert [event["dueAt"] for event in layers.webhooks.pending()] == ["2026-04-18T09:00:03.000Z"]
    layers.clock.advance("PT3S")
    layers.webhooks.flush()
    (message,) = inbox.messages()
    assert (message["event"]["type"], message["isVerified"]) == ("job.completed", True)
    assert (inbox.events(), other.events()) == (["job.completed"], [])
    inbox.clear()
    assert inbox.messages() == []


def test_credits_and_the_whole_organization_can_be_taken_away(layers, standin):
    layers.set_credits(0)
    layers.delete()
    with pytest.raises(StandInError, match="404 Organization not found"):
        layers.clock.now()
    with pytest.raises(StandInError, match=r"^GET /v1/projects: 401 "):
        layers.call("GET", "/v1/projects")
