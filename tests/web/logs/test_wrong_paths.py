"""After a 404 for a path that is no route, and after a 405, the log says which there are."""

import pytest
from conftest import AVA, AVA_PATH, DEMO


def close(*paths):
    return f"There is no such path; close to it: {' and '.join(paths)}."


ONE, LIST = "/v1/influencers/{influencer_id}", "/v1/projects/{project_id}/influencers"
HINTS = [
    ("GET", f"/v1/influencer/{AVA}", close(ONE, LIST)),
    ("GET", f"{AVA_PATH}/", close(ONE, LIST)),
    ("GET", f"/v1//influencers/{AVA}", close(ONE, LIST)),
    ("PATCH", f"/v1/v1/influencers/{AVA}", close(ONE)),
    ("GET", "/v1/influencers", close(ONE, LIST)),
    ("POST", "/v1/influencers", close(f"{ONE}/clone", LIST)),
    ("HEAD", "/v1/who-am-i", close("/v1/whoami")),
    ("GET", "/v1/" + "x/" * 4000, None),
    ("GET", "/v1/zzz", None),
    ("PUT", AVA_PATH, "This path takes only DELETE, GET, HEAD, PATCH."),
    ("GET", f"{AVA_PATH}x", None),  # an influencer that is not there
]


@pytest.mark.parametrize(("method", "path", "hint"), HINTS, ids=[f"{method} {path[:40]}" for method, path, _ in HINTS])
def test_the_request_log_and_the_output_tell_the_right_path(control, client, caplog, method, path, hint):
    reply = client.open(path, method=method, headers=DEMO)

    (entry,) = control.get("/requests")["items"]
    assert reply.status_code == (405 if method == "PUT" else 404)
    assert entry["hint"] == hint
    assert caplog.messages == ([] if hint is None else [f"{reply.headers['X-Request-Id']} {hint}"])


@pytest.mark.parametrize(
    ("method", "path", "hint"),
    [
        ("GET", f"/influencers/{AVA}", close(ONE, "/_standin/influencers/{influencer_id}/history")),
        ("PATCH", f"/api/v1/influencers/{AVA}", close(ONE)),
        ("POST", "/_standin/fault", close("/_standin/faults", "/_standin/reset")),
        ("GET", "/_standin/reset", "This path takes only POST."),
        ("GET", "/consol", close("/console")),
        ("GET", "/favicon.ico", None),
    ],
)
def test_paths_outside_of_the_api_have_their_hint_in_the_output(client, caplog, method, path, hint):
    reply = client.open(path, method=method)

    assert caplog.messages == ([] if hint is None else [f"{reply.headers['X-Request-Id']} {hint}"])


def test_the_console_shows_the_hint(client):
    client.get(f"/v1/influencer/{AVA}", headers=DEMO)

    assert f"<p>{close(ONE, LIST)}</p>" in client.get("/console/requests").text
