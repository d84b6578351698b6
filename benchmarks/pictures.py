"""Files instead of JSON: an upload beside a plain write, and pictures beside a file that Flask serves."""

import hashlib
import json
import os
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.load import Workload
from benchmarks.machine import peak_bytes, reset_peak
from benchmarks.rounds import Bench, Side, Targets
from benchmarks.servers import ROOT, Server, bare_server, fetch
from benchmarks.tables import at_most, number, spread

UPLOAD_BYTES = 50 << 20

_CHUNK_BYTES = 1 << 18
_PICTURE = ROOT / "data" / "pictures" / "ava-01.jpg"


class UploadTarget(NamedTuple):
    """A presigned upload: the path of its URL, the id of its project, and its own id."""

    path: str
    project: str
    upload: str


# Uploads


def measure_uploads(server: Server, folder: Path, rounds: int) -> list[list[str]]:
    """Return rows on uploads of UPLOAD_BYTES; `folder` must be on the disk that the stand-in writes to."""
    data = os.urandom(UPLOAD_BYTES)
    before = {worker: reset_peak(worker) for worker in server.workers()}
    sides = {"put": partial(time_put, server, data), "write": partial(time_writing, folder / "plain", data)}
    ratios, puts = [], []
    for number_of_round in range(-1, rounds):  # the sides take turns to go first; one round before warms up
        names = sorted(sides, reverse=bool(number_of_round % 2))
        seconds = {name: sides[name]() for name in names}
        puts.append(seconds["put"])
        ratios.append(seconds["put"] / seconds["write"])
    growths = [peak_bytes(worker) - first for worker, first in before.items() if first is not None]
    title = f"PUT of {UPLOAD_BYTES >> 20} MiB"
    least_ratio, grown = min(ratios[1:]), ", ".join(f"{number(growth / 1e6)} MB" for growth in growths)
    return [
        [title, spread(puts[1:], " s"), ""],
        [f"{title} ÷ writing, hashing and syncing them", spread(ratios[1:]), at_most("least", least_ratio, 1.5)],
        [f"memory by which each worker grew in {rounds + 1} of them", grown, "flat"],
    ]


def time_put(server: Server, data: bytes) -> float:
    """Return the seconds of the PUT of an upload, without those of its presign."""
    target = _presign(server, "video/mp4")
    started = time.perf_counter()
    fetch(server.port, "PUT", target.path, data, "video/mp4")
    return time.perf_counter() - started


def time_writing(path: Path, data: bytes) -> float:
    """Return the seconds to write a new file, to hash its bytes, and to sync it."""
    started, digest, view = time.perf_counter(), hashlib.sha256(), memoryview(data)
    with path.open("xb", buffering=0) as file:
        for start in range(0, len(data), _CHUNK_BYTES):
            chunk = view[start : start + _CHUNK_BYTES]
            digest.update(chunk)
            file.write(chunk)
        os.fsync(file.fileno())
    digest.hexdigest()
    seconds = time.perf_counter() - started
    path.unlink()
    return seconds


# Pictures


def compare_pictures(bench: Bench, server: Server) -> None:
    """Measure a thumbnail and a portrait that are already drawn, each beside a bare file of the same bytes."""
    for title, path, content_type in (
        ("GET thumbnail", _upload_picture(server), "image/webp"),
        ("GET portrait", _path_of_portrait(server), "image/png"),
    ):
        generator = bench.generator(Workload("GET", [(path, "")]))
        file = generator.folder / "picture"
        file.write_bytes(fetch(server.port, "GET", path))
        with bare_server(generator.folder, "answer_file", "/media/<path:name>", str(file), content_type) as floor:
            ours, other = Side(server, generator), Side(floor, generator)
            bench.compare(title, "demo seed", ours, "bare file", other, Targets(rate=0.8))


def _upload_picture(server: Server) -> str:
    """Upload a picture, and return its thumbnail's path."""
    target = _presign(server, "image/jpeg")
    fetch(server.port, "PUT", target.path, _PICTURE.read_bytes(), "image/jpeg")
    asset = _post(server, f"/v1/projects/{target.project}/media/finalize", {"uploadId": target.upload})
    return urlsplit(asset["thumbnailUrl"]).path


def _path_of_portrait(server: Server) -> str:
    """Return the path of the portrait of the first influencer that has no picture."""
    items = json.loads(fetch(server.port, "GET", f"/v1/projects/{_project(server)}/influencers"))["items"]
    return next(path for item in items if "/portrait/" in (path := urlsplit(item["thumbnailUrl"] or "").path))


def _presign(server: Server, mime_type: str) -> UploadTarget:
    """Presign an upload of a video or an image, in the first project of the list."""
    project = _project(server)
    body = {"kind": mime_type.partition("/")[0], "mimeType": mime_type}
    upload = _post(server, f"/v1/projects/{project}/media/presign", body)
    return UploadTarget(urlsplit(upload["uploadUrl"]).path, project, upload["uploadId"])


def _project(server: Server) -> str:
    return str(json.loads(fetch(server.port, "GET", "/v1/projects"))["items"][0]["id"])


def _post(server: Server, path: str, body: dict[str, str]) -> dict[str, str]:
    answer: dict[str, str] = json.loads(fetch(server.port, "POST", path, json.dumps(body).encode()))
    return answer
