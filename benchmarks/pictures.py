"""Bytes instead of JSON: an upload beside plain writing, and a thumbnail beside a file that Flask serves."""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.load import Asked
from benchmarks.machine import begin_peak, peak_bytes
from benchmarks.rounds import Bench, Side
from benchmarks.servers import ROOT, Server, ask, bare
from benchmarks.tables import markdown, number, spread

UPLOAD_BYTES = 50 << 20

_PICTURE = ROOT / "data" / "pictures" / "ava-01.jpg"

_HEAD = ("upload", "PUT", "written and synced from Python", "time, of that", "a worker's memory grew by")


class Target(NamedTuple):
    """Where an upload goes: its presigned path, and what its project and itself are called."""

    path: str
    project: str
    upload: str


class Timed(NamedTuple):
    """One round: the same bytes put to the stand-in and written by this process, in seconds."""

    ours: float
    plain: float


# Uploads


def measure_uploads(server: Server, folder: Path, rounds: int) -> str:
    """Return a table of how long uploads took; `folder` is on the disk that the stand-in writes to."""
    data = os.urandom(UPLOAD_BYTES)
    before = {worker: begin_peak(worker) for worker in server.workers()}
    timed = [_measure_round(server, folder, data, number_of_round) for number_of_round in range(-1, rounds)][1:]
    grew = [peak_bytes(worker) - at_first for worker, at_first in before.items() if at_first is not None]
    return markdown(_HEAD, [_cells(timed, grew)])


def _measure_round(server: Server, folder: Path, data: bytes, number_of_round: int) -> Timed:
    """Do both, the one that goes first changing; the very first round is to warm up."""
    if number_of_round % 2:
        return Timed(time_put(server, data), time_writing(folder / "plain", data))
    plain = time_writing(folder / "plain", data)
    return Timed(time_put(server, data), plain)


def time_put(server: Server, data: bytes) -> float:
    """Return the seconds until an upload is answered, without those of asking where it may go."""
    target = _presign(server, "video/mp4")
    started = time.perf_counter()
    ask(server.port, "PUT", target.path, data, "video/mp4")
    return time.perf_counter() - started


def time_writing(path: Path, data: bytes) -> float:
    """Return the seconds it takes to write a new file and sync it."""
    started = time.perf_counter()
    with path.open("xb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    path.unlink()
    return seconds


# Thumbnails


def compare_thumbnail(bench: Bench, server: Server) -> None:
    """Measure a thumbnail that has been drawn already beside a bare file of the same bytes."""
    path = _upload_picture(server)
    load = bench.load(Asked("GET", [(path, "")]))
    file = load.folder / "thumbnail.webp"
    file.write_bytes(ask(server.port, "GET", path))
    with bare(load.folder, "answer_file", "/media/<path:name>", str(file), "image/webp") as floor:
        bench.compare("GET thumbnail", "demo seed", Side(server, load), "bare file", Side(floor, load))


def _upload_picture(server: Server) -> str:
    """Upload a picture, have its thumbnail drawn, and return the path of that."""
    target = _presign(server, "image/jpeg")
    ask(server.port, "PUT", target.path, _PICTURE.read_bytes(), "image/jpeg")
    asset = _post(server, f"/v1/projects/{target.project}/media/finalize", {"uploadId": target.upload})
    path = urlsplit(asset["thumbnailUrl"]).path
    ask(server.port, "GET", path)
    return path


def _presign(server: Server, mime_type: str) -> Target:
    """Ask where a video or an image may go, in whatever project comes first."""
    project = json.loads(ask(server.port, "GET", "/v1/projects"))["items"][0]["id"]
    body = {"kind": mime_type.partition("/")[0], "mimeType": mime_type}
    promised = _post(server, f"/v1/projects/{project}/media/presign", body)
    return Target(urlsplit(promised["uploadUrl"]).path, project, promised["uploadId"])


def _post(server: Server, path: str, body: dict[str, str]) -> dict[str, str]:
    answer: dict[str, str] = json.loads(ask(server.port, "POST", path, json.dumps(body).encode()))
    return answer


# Printing


def _cells(timed: list[Timed], grew: list[int]) -> list[str]:
    ours, plain = spread([each.ours for each in timed], " s"), spread([each.plain for each in timed], " s")
    ratios = [each.ours / each.plain * 100 for each in timed]
    return [f"{UPLOAD_BYTES >> 20} MiB", ours, plain, spread(ratios, " %"), ", ".join(map(_megabytes, grew))]


def _megabytes(size_bytes: int) -> str:
    return f"{number(size_bytes / 1e6)} MB"
