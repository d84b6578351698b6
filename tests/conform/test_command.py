"""The command `conform`, asking a server over a socket."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson
import pytest
from click.testing import CliRunner
from conform_helpers import Ask, Plant, Planted, altered
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from layers_standin.cli import cli
from layers_standin.domain.keys import DEMO_KEY

NOBODY = "http://127.0.0.1:9"


@contextmanager
def listening(app: Any, plant: Plant | None = None) -> Iterator[str]:
    """Serve an app with a difference on a port; yield the URL."""
    server = make_server("127.0.0.1", 0, Planted(app, plant))
    server.log = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Ran(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


def run(*options: str, key: str | None = DEMO_KEY, **variables: str) -> Ran:
    """Run the command; what it prints is without the access log of the server, which is in the same process."""
    known = {} if key is None else {"LAYERS_API_KEY": key}
    ran = CliRunner(env=known | variables).invoke(cli, ["conform", *options])
    return Ran(ran.exit_code, re.sub(r"^\d{4}-.* req_.*\n", "", ran.stdout, flags=re.MULTILINE), ran.stderr)


def test_the_command_prints_the_report_and_exits_with_0(app):
    with listening(app) as url:
        ran = run("--base-url", f"{url}/v1/", "--only", "whoami")

    assert ran.stderr == "At most 115 requests, all with GET: nothing is changed, no credits are spent.\n"
    assert ran.stdout.splitlines() == [
        "Passed",
        "  whoami: bearer, malformed-key, unknown-key, two-keys, no-key",
        "",
        "6 passed, 0 differ, 0 not tried; 14 requests.",
    ]
    assert ran.exit_code == 0


def wordy(request: Request, ask: Ask) -> Response:
    """Every refusal of a query tells the key that it came with."""
    response = ask(request)
    if response.status_code == 422:
        return altered(response, {"error": response.json["error"] | {"message": request.headers["X-Api-Key"]}})
    return response


def test_a_difference_is_exit_code_1_and_a_key_that_a_server_echoes_is_not_printed_or_written(app, tmp_path):
    file = tmp_path / "report.json"
    with listening(app, wordy) as url:
        ran = run("--base-url", url, "--only", "listProjects:limit-0", "--json", str(file))

    assert ran.exit_code == 1
    assert "     expected  the message is Invalid query.\n     received  <key>\n" in ran.stdout
    assert DEMO_KEY not in ran.stdout + ran.stderr + file.read_text("utf-8")
    (check,) = orjson.loads(file.read_bytes())["checks"]
    assert check["differences"] == [{"expected": "the message is Invalid query.", "received": "<key>"}]


def test_with_json_to_standard_output_there_is_nothing_else_in_it(app):
    with listening(app) as url:
        ran = run("--json", "-", "--only", "whoami", LAYERS_BASE_URL=url)

    assert (ran.exit_code, orjson.loads(ran.stdout)["counts"]) == (0, {"passed": 6, "differs": 0, "not tried": 0})


def refused(*options: str, **variables: Any) -> str:
    ran = run(*options, **variables)
    assert (ran.exit_code, ran.stdout) == (2, "")
    return ran.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--base-url", "api.example.com"], "--base-url must be a URL like https://api.example.com."),
        (["--base-url", "http://[x"], "--base-url must be a URL like https://api.example.com."),
        (["--base-url", NOBODY, "--json", "/no/x"], "--json /no/x cannot be written: there is no such folder."),
        (["--base-url", NOBODY, "--credits"], "--credits goes with --write."),
        (["--base-url", NOBODY, "--key", ""], "--key must be an API key, like lp_test_…."),
        (
            ["--base-url", "http://api.example.com", "--key", "lp_live_x"],
            "A live key is not sent in clear text: --base-url must begin with https://.",
        ),
        (
            ["--base-url", NOBODY, "--only", "nothing"],
            "--only nothing is no check, operation or group: try --only patchInfluencer, or --only 'get*'.",
        ),
        (["--base-url", NOBODY], f"{NOBODY} cannot be asked: no answer came: [Errno 111] Connection refused."),
        ([], "Error: Missing option '--base-url'."),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence_with_exit_code_2(options, sentence):
    assert refused(*options) == sentence


def test_a_key_is_needed():
    assert refused("--base-url", NOBODY, key=None) == "Error: Missing option '--key'."


def test_what_writing_will_do_and_cost_is_told_before_anything_is_asked():
    free, paid = (run("--base-url", NOBODY, "--write", *more) for more in ([], ["--credits"]))

    made = "A project is made, with two influencers and three files in it, then archived again."
    assert made in free.stderr
    assert "No call is made that has a price in the list of GET /v1/credits." in free.stderr
    assert "One call is billed: a slideshow, 50 credits, which is canceled at once." in paid.stderr
