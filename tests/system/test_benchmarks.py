"""The benchmarks measure the processes they name, fail where a number would mean nothing, and print the page's tables.

A run of each part is too long for every day: `pytest -m exhaustive tests/system/test_benchmarks.py`.
"""

import json
import re
import resource
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from databases import Databases
from servers import ROOT

from benchmarks import bare, peers, rounds
from benchmarks import webhooks as webhook_benchmark
from benchmarks.chart import chart
from benchmarks.children import in_child
from benchmarks.databases import add_plain_table, open_engine
from benchmarks.documents import ORGANIZATION, populate
from benchmarks.load import LoadFailed, Workload
from benchmarks.servers import bare_server, fetch

pytestmark = pytest.mark.slow

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="the load comes from wrk, which is not here")
PAGE = (ROOT / "docs" / "performance.md").read_text("utf-8")
PATCH = {"vibe": "festive"}  # they differ in objects: SQLite merges them, as the API does, and the others replace them


def benchmark(*arguments: str) -> str:
    """Run benchmarks/http.py for one short round, and return its output."""
    command = [sys.executable, str(ROOT / "benchmarks" / "http.py"), "--rounds", "1", "--seconds", "1", *arguments]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def tables(text: str) -> dict[str, list[list[str]]]:
    """Return {head: rows of cells} of the Markdown tables in a text."""
    found = re.findall(r"^(\|.+\|)\n\|(?: ?-+:? ?\|)+\n((?:\|.*\|\n)*)", text, re.MULTILINE)
    return {head: [row[2:-2].split(" | ") for row in rows.splitlines()] for head, rows in found}


HEADS = {f"| {' | '.join(head)} |" for head in (rounds.HEAD, peers.HEAD, ("", "measured", "target"))}

WEBHOOKS = {
    "cost": f"| {' | '.join(webhook_benchmark.COST_HEAD)} |",
    "rate": f"| {' | '.join(webhook_benchmark.RATE_HEAD)} |",
    "slow": f"| {' | '.join(webhook_benchmark.SLOW_HEAD)} |",
    "idle": f"| {' | '.join(webhook_benchmark.IDLE_HEAD)} |",
}

# Measuring


@needs_wrk
def test_a_run_compares_with_a_bare_view_and_prints_a_row() -> None:
    found = tables(benchmark("--sizes", "30", "--only", "get"))
    ((title, size, *numbers),) = found[f"| {' | '.join(rounds.HEAD)} |"]
    assert (title, size, numbers[4]) == ("GET influencer", "30", "bare view")
    assert all(float(number.split()[0].replace(",", "")) > 0 for number in (*numbers[:4], *numbers[5:11]))
    assert re.fullmatch(r"CPU ≤ 1\.25: (met|\*\*missed\*\*), requests/s ≥ 0\.8: (met|\*\*missed\*\*)", numbers[11]), (
        numbers
    )


@pytest.mark.exhaustive
@needs_wrk
def test_a_run_measures_every_part(tmp_path: Path) -> None:
    sizes = ("--sizes", "30,60", "--peer-sizes", "30,60")
    found = tables(benchmark(*sizes, "--picture", str(tmp_path / "peers.svg")))
    compared, once, beside = (found[head] for head in (f"| {' | '.join(rounds.HEAD)} |", ONCE, BESIDE))
    assert {title for title, *_ in compared} >= {"GET portrait", "GET thumbnail", "POST reference-images"}
    assert {target.split(" ")[0] for *_, target in once if target} == {"s", "MB", "least", "ms", "flat"}
    assert len(beside) == 8
    assert ElementTree.parse(tmp_path / "peers.svg").getroot().tag.endswith("svg")
    assert tables(benchmark("--postgres", "--sizes", "30", "--only", "get,patch,hosts,log"))


ONCE, BESIDE = "|  | measured | target |", f"| {' | '.join(peers.HEAD)} |"


def webhooks(*arguments: str) -> dict[str, list[list[str]]]:
    """Run benchmarks/webhooks.py for one short round, and return its tables."""
    command = [sys.executable, str(ROOT / "benchmarks" / "webhooks.py"), "--rounds", "1", "--seconds", "1", *arguments]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return tables(ran.stdout)


def test_deliveries_are_measured_to_the_last_one() -> None:
    ((*counts, rate, cpu),) = webhooks("--only", "rate", "--rates", "3x2")[WEBHOOKS["rate"]]
    assert counts == ["3", "2", "6"]
    assert float(rate.split()[0]) > 0
    assert cpu.split()[1] == "ms"


@pytest.mark.exhaustive
@needs_wrk
@pytest.mark.parametrize("engine", [[], ["--postgres"]], ids=["sqlite", "postgres"])
def test_every_part_of_webhooks_is_measured(engine: list[str]) -> None:
    short = ("--rates", "1x4,3x2", "--endpoints", "4", "--idle-seconds", "5")
    found = webhooks(*short, *engine)
    cost, rate, slow, idle = (found[head] for head in WEBHOOKS.values())
    listening = ("nobody", "another organization", "this one")
    made = {"PATCH influencer": "1", "POST influencers": "3"}
    assert [cells[:3] for cells in cost] == [[title, each, made[title]] for title in made for each in listening]
    assert [cells[:3] for cells in rate] == [["1", "4", "4"], ["3", "2", "6"]]
    assert [cells[:2] for cells in slow] == [["4", "0"], ["4", "1"]]
    assert all(float(cell.split()[0]) > 0 for cells in slow for cell in cells[2:])
    assert [endpoints for endpoints, _ in idle] == ["0", "1"]


@needs_wrk
def test_answers_that_are_no_success_end_the_run(tmp_path: Path) -> None:
    bench = rounds.Bench(tmp_path, rounds=1, seconds=1)
    (tmp_path / "body").write_text("{}")
    with bare_server(tmp_path / "view", "answer_document", str(tmp_path / "body")) as server:
        side = rounds.Side(server, bench.generator(Workload("GET", [("/nowhere", "")])))
        with pytest.raises(LoadFailed, match=r"GET http.*/nowhere: [1-9]\d* error answers, 0 broken connections"):
            side.measure()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processor time is read from /proc, which is not here")
def test_the_processor_time_is_that_of_all_processes_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "body").write_text("{}")
    with bare_server(tmp_path / "view", "answer_document", str(tmp_path / "body")) as server:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)  # the server's own is added when it has ended
        for _ in range(300):
            fetch(server.port, "GET", "/v1/influencers/inf_1")
        busy = server.busy_seconds()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    of_system = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert len(busy) == 3  # the arbiter and two workers
    assert 0.5 * of_system <= sum(busy.values()) <= of_system + 0.01 * len(busy)  # to stop takes some, too


# The peers


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    populate(folder, 3)
    return folder


@pytest.mark.parametrize(
    ("fill", "view"),
    [(peers._fill_sqlite, "sqlite_view"), (peers._fill_tinydb, "tinydb_view")],
    ids=["sqlite", "tinydb"],
)
def test_a_peer_reads_and_changes_the_same_documents(store, tmp_path, fill, view) -> None:
    file = tmp_path / "peer" / "documents"
    peers._fill(fill, store, file)
    found, changed, kept = in_child(read_and_change, view, str(file), list(documents := influencers(store)))
    assert found == documents
    assert changed == kept == {doc_id: document | PATCH for doc_id, document in documents.items()}


def test_a_view_on_postgresql_reads_and_changes_the_same_documents(server_of_databases: Databases) -> None:
    url = server_of_databases.new()
    populate(url, 3)
    add_plain_table(url)
    found, changed, kept = in_child(read_and_change, "postgres_view", url, list(documents := influencers(url)))
    assert found == documents
    assert changed == kept == {doc_id: document | PATCH for doc_id, document in documents.items()}


def read_and_change(view: str, location: str, ids: list[str]) -> list[dict[str, Any]]:
    """Return each document as it is read, as it is answered after a PATCH, and as another app reads it then.

    In a process of its own, for a view leaves its connections to the end of the process.
    """
    one, other = (getattr(bare, view)(location).test_client() for _ in range(2))
    return [
        {doc_id: one.get(f"/v1/influencers/{doc_id}").json for doc_id in ids},
        {doc_id: one.patch(f"/v1/influencers/{doc_id}", json=PATCH).json for doc_id in ids},
        {doc_id: other.get(f"/v1/influencers/{doc_id}").json for doc_id in ids},
    ]


def influencers(location: Path | str) -> dict[str, dict[str, object]]:
    with closing(open_engine(location)) as db:
        ids = db.ids("influencers", ORGANIZATION)
        return {doc_id: json.loads(db.read("influencers", ORGANIZATION, doc_id) or b"") for doc_id in ids}


# The picture and the page


def test_the_picture_has_a_name_a_description_and_every_text_within_its_frame() -> None:
    lines = {"ours": [(1000, 900.0), (1_000_000, 700.5)], "<theirs> & co": [(1000, 0.4)]}
    root = ElementTree.fromstring(chart({"GET": lines, "PATCH": lines}, "ours & theirs"))
    space = "{http://www.w3.org/2000/svg}"
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert (root.findtext(f"{space}title"), root.findtext(f"{space}desc")) == (
        "Requests a second by number of influencers",
        "ours & theirs",
    )
    assert len(root.findall(f".//{space}polyline")) == 6  # of two panels, and of the legend
    for text in root.iter(f"{space}text"):
        x, y, long = float(text.attrib["x"]), float(text.attrib["y"]), 8 * len(text.text or "")
        left = x - long * {"end": 1, "middle": 0.5}.get(text.attrib.get("text-anchor", ""), 0)
        assert 0 <= left <= left + long <= width, text.text
        assert 13 <= y <= height - 4, text.text
    for spot in root.iter(f"{space}circle"):
        assert 0 <= float(spot.attrib["cx"]) <= width
        assert 0 <= float(spot.attrib["cy"]) <= height


def test_the_page_has_the_tables_that_the_script_prints() -> None:
    assert set(tables(PAGE)) >= HEADS


def test_the_page_of_webhooks_has_the_tables_that_the_script_prints() -> None:
    assert set(tables((ROOT / "docs" / "webhooks.md").read_text("utf-8"))) >= {WEBHOOKS["cost"], WEBHOOKS["rate"]}


def test_the_readme_quotes_three_lines_of_the_page_and_shows_its_picture() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (quoted,) = (rows for head, rows in tables(readme).items() if head == BESIDE)
    assert len(quoted) == 3
    assert [row for row in quoted if row not in tables(PAGE)[BESIDE]] == []
    assert "](docs/performance.svg)" in readme
    assert "](performance.svg)" in PAGE
    assert ElementTree.parse(ROOT / "docs" / "performance.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
