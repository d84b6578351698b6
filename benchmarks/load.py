"""wrk: the load generator, and the Lua script that tells it what to ask."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.documents import Sample
from records.keys import DEMO_KEY

CONNECTIONS = 8

# The influencers stand in random order and are asked one after the other, so the same one comes again only when all
# others have been. Each time round, the next of its project's assets is attached: with the times on them in whole
# seconds, attaching the same one twice within a second would be a write that changes nothing.
_SCRIPT = """\
wrk.headers["X-Api-Key"] = "%(key)s"

local method, turn, count, influencers, projects, assets = "GET", 0, 0, {}, {}, {}

function init(arguments)
  method, turn = arguments[1], tonumber(arguments[2])
  if method ~= "GET" then wrk.headers["Content-Type"] = "application/json" end
  for line in io.lines("%(folder)s/influencers.txt") do
    count = count + 1
    influencers[count], projects[count] = line:match("(%%S+) (%%d+)")
  end
  for line in io.lines("%(folder)s/assets.txt") do
    local group = {}
    for asset in line:gmatch("%%S+") do group[#group + 1] = asset end
    assets[#assets + 1] = group
  end
end

function request()
  turn = turn + 1
  local at = turn %% count + 1
  local path = "/v1/influencers/" .. influencers[at]
  if method == "GET" then return wrk.format(method, path) end
  if method == "PATCH" then return wrk.format(method, path, nil, string.format(
    '{"vibe":"calm and curious, take %%09d","personality":{"tone":"friendly %%09d"}}', turn, turn))
  end
  local group = assets[projects[at] + 1]
  local asset = group[math.floor(turn / count) %% #group + 1]
  return wrk.format(method, path .. "/reference-images", nil, '{"assetIds":["' .. asset .. '"]}')
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"requests":%%d,"microseconds":%%d,"p50":%%d,"p99":%%d,"refused":%%d,"broken":%%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class Round(NamedTuple):
    """What one run of wrk saw; latencies in milliseconds."""

    requests: int
    per_second: float
    p50: float
    p99: float
    repeats: int = 0


class Failed(Exception):
    """Something was answered with an error, or not at all: numbers beside it would mean nothing."""


def check_wrk() -> None:
    """Exit with a hint when wrk is not installed."""
    if shutil.which("wrk") is None:
        sys.exit("This benchmark needs wrk: `apt-get install wrk` (Debian, Ubuntu) or `brew install wrk` (macOS).")


def write_script(folder: Path, sample: Sample) -> Path:
    """Write the script and its two lists, and return the script's path."""
    (folder / "influencers.txt").write_text("".join(f"{at} {project}\n" for at, project in sample.influencers))
    (folder / "assets.txt").write_text("".join(" ".join(group) + "\n" for group in sample.assets))
    script = folder / "load.lua"
    script.write_text(_SCRIPT % {"key": DEMO_KEY, "folder": folder})
    return script


def run(script: Path, method: str, seconds: int, url: str) -> Round:
    """Load `url` with one method. Raises Failed on any answer that is not a success."""
    first_turn = random.randrange(10**8)  # so that no two runs write the same
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
    command = ["wrk", *options, url, "--", method, str(first_turn)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode != 0 or not done.stdout.rstrip().endswith("}"):
        raise Failed(f"wrk failed: {done.stdout}{done.stderr}")
    result = json.loads(done.stdout.rstrip().rsplit("\n", 1)[-1])
    if result["refused"] or result["broken"]:
        raise Failed(f"{method} {url}: {result['refused']} error answers, {result['broken']} broken connections.")
    per_second = result["requests"] / result["microseconds"] * 1e6
    return Round(result["requests"], per_second, result["p50"] / 1000, result["p99"] / 1000)
