"""The load generator wrk, and the Lua script with which it sends the requests of a workload."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.tables import percentile
from layers_standin.domain.keys import DEMO_KEY

CONNECTIONS = 8
MARK = "000000000"  # in a body it becomes a number that no other request has

# requests.txt has lines of path, tab, body; they are asked one after the other, then again from the first.
_SCRIPT = """\
local method, turn, is_keyed, count, paths, bodies = "GET", 0, false, 0, {}, {}

function init(arguments)
  method, turn, is_keyed = arguments[2], tonumber(arguments[3]), arguments[4] == "keyed"
  for line in io.lines(arguments[1]) do
    count = count + 1
    paths[count], bodies[count] = line:match("([^\\t]*)\\t(.*)")
  end
  if bodies[1] ~= "" then wrk.headers["Content-Type"] = "application/json" end
end

function request()
  turn = turn + 1
  local at = turn % count + 1
  if bodies[at] == "" then return wrk.format(method, paths[at]) end
  local mark = string.format("%09d", turn)
  if is_keyed then wrk.headers["Idempotency-Key"] = "benchmark-" .. mark end
  return wrk.format(method, paths[at], nil, (bodies[at]:gsub("000000000", mark)))
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class Workload(NamedTuple):
    """Requests of one method, as (path, body or "") in the order of sending.

    wrk replaces each MARK in a body by a number that no other request has. With `is_keyed`, each request has an
    Idempotency-Key of its own.
    """

    method: str
    requests: Sequence[tuple[str, str]]
    is_keyed: bool = False


class Round(NamedTuple):
    """The result of one run of wrk: the latencies `p50` and `p99` are in milliseconds.

    `repeats` is the number of discarded runs before it. `cpu` is the processor time (user and system, of all processes
    of the server) for each answer, in milliseconds; None where the system does not report it.
    """

    requests: int
    per_second: float
    p50: float
    p99: float
    repeats: int = 0
    cpu: float | None = None


def timed_one_by_one(seconds: Sequence[float]) -> Round:
    """Return the result of requests that were sent one after the other, from the seconds of each."""
    p50, p99 = (percentile(seconds, percent) * 1000 for percent in (50, 99))
    return Round(len(seconds), len(seconds) / sum(seconds), p50, p99)


class LoadFailed(Exception):
    """The server answered a request with an error, or not at all, so the measured numbers would mean nothing."""


class LoadGenerator:
    """Sends one workload to any server for `seconds`; the files for wrk are in `folder`."""

    def __init__(self, folder: Path, workload: Workload, seconds: int) -> None:
        self.folder = folder
        self._script, self._requests = folder / "load.lua", folder / "requests.txt"
        self._script.write_text(_SCRIPT, "utf-8")
        self._requests.write_text("".join(f"{path}\t{body}\n" for path, body in workload.requests), "utf-8")
        self.workload, self.seconds = workload, seconds

    def run(self, url: str) -> Round:
        """Load the server at `url`, and return the result. Raises LoadFailed on any answer that is not a success."""
        done = subprocess.run(
            self._command(url), capture_output=True, encoding="utf-8", check=False, timeout=60 + self.seconds
        )
        if done.returncode != 0 or not done.stdout.rstrip().endswith("}"):
            raise LoadFailed(f"wrk failed: {done.stdout}{done.stderr}")
        result = json.loads(done.stdout.rstrip().rsplit("\n", 1)[-1])
        if result["refused"] or result["broken"]:
            request = f"{self.workload.method} {url}{self.workload.requests[0][0]}"
            raise LoadFailed(f"{request}: {result['refused']} error answers, {result['broken']} broken connections.")
        per_second = result["requests"] / result["microseconds"] * 1e6
        return Round(result["requests"], per_second, result["p50"] / 1000, result["p99"] / 1000)

    def _command(self, url: str) -> list[str]:
        first_turn = random.randrange(10**8)  # so that no two runs write the same number
        keyed = "keyed" if self.workload.is_keyed else "plain"
        options = ["-t1", f"-c{CONNECTIONS}", f"-d{self.seconds}s", "--timeout", "10s", "-s", str(self._script)]
        options += ["-H", f"X-Api-Key: {DEMO_KEY}"]
        return ["wrk", *options, url, "--", str(self._requests), self.workload.method, str(first_turn), keyed]


def check_wrk() -> None:
    """Exit with a hint when wrk is not installed."""
    if shutil.which("wrk") is None:
        sys.exit("This benchmark needs wrk: `apt-get install wrk` (Debian, Ubuntu) or `brew install wrk` (macOS).")
