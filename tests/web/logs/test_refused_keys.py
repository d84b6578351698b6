"""After a 401 the log says why, and shows the headers that came: with everything but their secrets."""

import pytest
from api_helpers import UNAUTHENTICATED, key_of, new_organization, refused
from conftest import AVA_PATH, DEMO
from request_helpers import DEMO_SECRET, WRONG_SECRET

from layers_standin.domain.keys import DEMO_KEY

USE = "send it as `X-Api-Key: lp_…`."
UNKNOWN = "lp_test_AAAABBBBCCCCDDDD_" + "x" * 43
SECRET = "s3cr3t" * 8


def unset(header, text):
    return f"{header} is {text}, and not a key: is the variable set that should have it?"


def in_header(name):
    return f"The key came in the header {name}: {USE}"


def not_whole(header, length):
    return f"{header} is not a whole key: `lp_test_`, 16 characters, `_` and 43 more; {length} characters came."


QUOTED = "X-Api-Key has quotes around the key: leave them out."
REASONS = [
    ({}, f"No key came: {USE}", {}),
    ({"Api-Key": DEMO_KEY}, in_header("Api-Key"), {"Api-Key": "lp_test_DEM0DEM0DEM0DEM0_***"}),
    ({"X-ApiKey": "abc"}, in_header("X-Apikey"), {"X-Apikey": "***"}),
    ({"X-Layers-Key": SECRET}, in_header("X-Layers-Key"), {"X-Layers-Key": "***"}),
    ({"Token": "null"}, in_header("Token"), {"Token": "null"}),
    ({"X-Api-Secret-Of-Mine": DEMO_KEY}, in_header("X-Api-Secret-Of-Mine"), None),
    ({"X-Custom": DEMO_KEY}, in_header("X-Custom"), {"X-Custom": "lp_test_DEM0DEM0DEM0DEM0_***"}),
    ({"X-Api-Key": "undefined"}, unset("X-Api-Key", "undefined"), {"X-Api-Key": "undefined"}),
    ({"X-Api-Key": "null"}, unset("X-Api-Key", "null"), {"X-Api-Key": "null"}),
    ({"X-Api-Key": "None"}, unset("X-Api-Key", "None"), {"X-Api-Key": "None"}),
    ({"X-Api-Key": "[object Object]"}, unset("X-Api-Key", "[object Object]"), {"X-Api-Key": "[object Object]"}),
    ({"X-Api-Key": ""}, unset("X-Api-Key", "empty"), {"X-Api-Key": ""}),
    ({"X-Api-Key": "$LAYERS_API_KEY"}, unset("X-Api-Key", "$LAYERS_API_KEY"), {"X-Api-Key": "$LAYERS_API_KEY"}),
    ({"X-Api-Key": "${KEY}"}, unset("X-Api-Key", "${KEY}"), {"X-Api-Key": "${KEY}"}),
    ({"X-Api-Key": "{{ key }}"}, unset("X-Api-Key", "{{ key }}"), {"X-Api-Key": "{{ key }}"}),
    ({"X-Api-Key": "<your key>"}, unset("X-Api-Key", "<your key>"), {"X-Api-Key": "<your key>"}),
    ({"X-Api-Key": "YOUR_API_KEY"}, unset("X-Api-Key", "YOUR_API_KEY"), {"X-Api-Key": "YOUR_API_KEY"}),
    ({"Authorization": "Bearer undefined"}, unset("Authorization", "undefined"), {"Authorization": "Bearer undefined"}),
    ({"Authorization": "Bearer"}, unset("Authorization", "empty"), {"Authorization": "Bearer"}),
    ({"X-Api-Key": f'"{DEMO_KEY}"'}, QUOTED, {"X-Api-Key": '"lp_test_DEM0DEM0DEM0DEM0_***"'}),
    ({"X-Api-Key": f"'{DEMO_KEY}'"}, QUOTED, {"X-Api-Key": "'lp_test_DEM0DEM0DEM0DEM0_***'"}),
    ({"X-Api-Key": f"\u201c{DEMO_KEY}\u201d".encode().decode("latin-1")}, QUOTED, {"X-Api-Key": "***"}),
    ({"X-Api-Key": f"Bearer {DEMO_KEY}"}, f"X-Api-Key has a word before the key: {USE}", None),
    ({"Authorization": DEMO_KEY}, f"Authorization does not begin with `Bearer`: {USE}", None),
    ({"Authorization": f"Basic {SECRET}"}, f"Authorization does not begin with `Bearer`: {USE}",
     {"Authorization": "Basic ***"}),
    ({"Authorization": f"Bearer {SECRET}"}, not_whole("Authorization", 48), {"Authorization": "Bearer ***"}),
    ({"X-Api-Key": DEMO_KEY[:-1]}, not_whole("X-Api-Key", 67), {"X-Api-Key": "lp_test_DEM0DEM0DEM0DEM0_***"}),
    ({"X-Api-Key": "x" * 8000}, not_whole("X-Api-Key", 8000), {"X-Api-Key": "***"}),
    ({"X-Api-Key": "\x1b[2J\xff\xfe"}, not_whole("X-Api-Key", 6), {"X-Api-Key": "***"}),
    ({"X-Api-Key": UNKNOWN},
     "The key AAAABBBBCCCCDDDD is not in this store: it is of another one, or went with a reset.",
     {"X-Api-Key": "lp_test_AAAABBBBCCCCDDDD_***"}),
    ({"X-Api-Key": WRONG_SECRET},
     "The key DEM0DEM0DEM0DEM0 has another secret here: it was rotated, or is of another store.", None),
    ({"X-Api-Key": DEMO_KEY.replace("test", "live")}, "The key DEM0DEM0DEM0DEM0 begins with lp_test_ here.", None),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "reason", "headers"), REASONS, ids=[str(sent)[:60] for sent, *_ in REASONS])
def test_the_log_says_why_a_key_was_refused(control, client, settings, capsys, caplog, sent, reason, headers):
    reply = client.get(AVA_PATH, headers=sent)

    (entry,) = control.get("/requests")["items"]
    assert refused(reply) == UNAUTHENTICATED
    assert entry["hint"] == reason
    shown = {name: value for name, value in entry["headers"].items() if name not in ("Host", "User-Agent")}
    assert shown == headers or headers is None
    assert caplog.messages == [f"{reply.headers['X-Request-Id']} {reason}"]
    log = b"".join(path.read_bytes() for path in (settings.data / "requests").iterdir()).decode()
    for text in (log, capsys.readouterr().out, control.send("GET", "/requests").text):
        assert DEMO_SECRET[:-1] not in text
        assert SECRET not in text


@pytest.mark.parametrize("query", [f"api_key={DEMO_KEY}", "apiKey=x", "access_token=x", f"q={DEMO_KEY}", "a=1&key=2"])
def test_a_key_in_the_query_is_told(control, client, query):
    client.get(f"{AVA_PATH}?{query}")

    (entry,) = control.get("/requests")["items"]
    assert entry["hint"] == f"The key came in the query: {USE}"


@pytest.mark.parametrize("query", ["monkey=1", "keyword=x", "tokens_left=1", "cursor=abc"])
def test_another_query_is_no_key(control, client, query):
    client.get(f"{AVA_PATH}?{query}")

    (entry,) = control.get("/requests")["items"]
    assert entry["hint"] == f"No key came: {USE}"


def test_a_key_of_a_dropped_organization_and_one_after_a_reset_are_told(control, client, store):
    headers = key_of(store, new_organization(store), "*")
    public_id = headers["X-Api-Key"].split("_")[2]
    control.post("/reset")
    client.get(AVA_PATH, headers=headers)

    (entry,) = control.get("/requests")["items"]
    assert entry["hint"].startswith(f"The key {public_id} is not in this store: ")


def test_the_demo_key_at_a_public_address_is_told(control, client):
    client.get(AVA_PATH, headers=DEMO, environ_overrides={"SERVER_NAME": "0.0.0.0"})

    (entry,) = control.get("/requests")["items"]
    assert entry["hint"] == (
        "The key DEM0DEM0DEM0DEM0 is the demo key, which this machine alone may use unless STANDIN_ALLOW_DEMO_KEY is 1."
    )


def test_a_good_key_and_a_401_that_was_asked_for_have_no_hint(control, client):
    client.get(AVA_PATH, headers=DEMO)
    client.get(AVA_PATH, headers=DEMO | {"Prefer": "code=401"})

    found = [(entry["status"], entry["hint"], entry["headers"]) for entry in control.get("/requests")["items"]]
    sent = {"User-Agent": found[0][2]["User-Agent"], "Host": "localhost", "X-Api-Key": "***"}
    assert found == [(401, None, sent | {"Prefer": "code=401"}), (200, None, sent)]


def test_of_many_and_long_headers_only_so_much_is_kept(control, client, settings):
    client.get(AVA_PATH, headers={f"X-{number}-{'n' * 300}": "v" * 8000 for number in range(90)})

    (entry,) = control.get("/requests")["items"]
    assert len(entry["headers"]) <= 40
    assert max(map(len, [*entry["headers"], *entry["headers"].values()])) <= 201
    assert sum(path.stat().st_size for path in (settings.data / "requests").iterdir()) < 20_000


def test_the_console_shows_the_reason_and_the_headers_and_executes_nothing(client):
    client.get(AVA_PATH, headers={"Api-Key": "x", "X-Custom": "<script>alert(1)</script>\x1b[2J"})

    page = client.get("/console/requests").text

    assert f"<p>The key came in the header Api-Key: {USE}</p>" in page
    assert "X-Custom: &lt;script&gt;alert(1)&lt;/script&gt;␛[2J\n" in page
    assert "<script>alert" not in page
