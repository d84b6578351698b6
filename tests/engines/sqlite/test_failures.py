"""Every call of SQLite to the file system fails in turn: the answer is there or a 503, and never a third thing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from servers import ROOT, environment

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("failing_vfs.py")
NOT_DONE = "The store is unavailable; nothing was changed."
NOT_SAID = "The store is unavailable; this may or may not have been done."
WRITING = ("write", "sync")


EACH = pytest.param("each", marks=pytest.mark.exhaustive)


@pytest.mark.parametrize("of_calls", [EACH, "sampled"])
@pytest.mark.parametrize("action", ["patch", "reset", "snapshot"])
@pytest.mark.parametrize("state", ["warm", "cold", "writing back"])
def test_each_failing_call_is_a_503_that_changes_nothing_and_writes_return(tmp_path, state, action, of_calls):
    command = [sys.executable, str(PROGRAM), str(tmp_path / "store"), state, action, of_calls]
    ran = subprocess.run(
        command,
        env=environment(tmp_path) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    rounds = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    for found in rounds:
        check(found, state)
    assert {found["kind"] for found in rounds if found["failed"]} >= {"write", "lock"} | (
        {"read", "open", "stat", "map"} if state == "cold" else set()
    )
    assert {found["status"] for found in rounds} == {201 if action == "snapshot" else 200, 503}


def check(found, state):
    """Check the answer to a request whose nth call of a kind has failed, and what followed."""
    told = found["told"]
    if found["status"] == 503:
        assert told.pop("requestId")
        expected = NOT_SAID if found["kind"] == "sync" and told["message"] == NOT_SAID else NOT_DONE
        assert told == {"code": "UNAVAILABLE", "message": expected}, found
        assert not found["changed"], found
        assert found["failed"], found
    else:
        assert found["status"] in (200, 201), found
        assert found["changed"], found
    if found["meanwhile"]:
        health, read = found["meanwhile"]
        assert health in (200, 503), found
        assert read in (200, 503), found
        if found["kind"] in WRITING:
            assert health == 503, found
            assert read == 200 or state == "cold", found  # to open a store takes a byte for the index of its log
    assert found["afterwards"] == [200, True], found
    assert found["health"] == 200, found
