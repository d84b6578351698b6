"""Files instead of JSON: an upload beside a plain write, and a thumbnail beside a file that Flask serves."""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.load import Workload
from benchmarks.machine import peak_bytes, reset_peak
from benchmarks.rounds import Bench, Side
from benchmarks.servers import ROOT, Server, bare_server, fetch
from benchmarks.tables import markdown, number, spread

UPLOAD_BYTES = 50 << 20

_PICTURE = ROOT / "data" / "pictures" / "ava-01.jpg"

_HEAD = ("upload", "PUT", "written and synced from Python", "time, of that", "a worker's memory grew by")


class UploadTarget(NamedTuple):
    """A presigned upload: the path of its URL, the id of its project, and its own id."""

    path: str
    project: str
    upload: str


class UploadTiming(NamedTuple):
    """The seconds of one round: to upload bytes to the stand-in, and to write them from this process."""

    upload: float
    write: float


# Uploads


def measure_uploads(server: Server, folder: Path, rounds: int) -> str:
    """Return a table of the times of uploads; `folder` must be on the disk that the stand-in writes to."""
    data = os.urandom(UPLOAD_BYTES)
    before = {worker: reset_peak(worker) for worker in server.workers()}
    timings = [_measure_round(server, folder, data, number_of_round) for number_of_round in range(-1, rounds)][1:]
    growths = [peak_bytes(worker) - first for worker, first in before.items() if first is not None]
    return markdown(_HEAD, [_cells(timings, growths)])


def _measure_round(server: Server, folder: Path, data: bytes, number_of_round: int) -> UploadTiming:
    """Upload and write the same bytes; rounds alternate in the order of the two."""
    if number_of_round % 2:
        return UploadTiming(time_put(server, data), time_writing(folder / "plain", data))
    write = time_writing(folder / "plain", data)
    return UploadTiming(time_put(server, data), write)


def time_put(server: Server, data: bytes) -> float:
    """Return the seconds of the PUT of an upload, without those of its presign."""
    target = _presign(server, "video/mp4")
    started = time.perf_counter()
    fetch(server.port, "PUT", target.path, data, "video/mp4")
    return time.perf_counter() - started


def time_writing(path: Path, data: bytes) -> float:
    """Return the seconds to write a new file and to sync it."""
    started = time.perf_counter()
    with path.open("xb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    path.unlink()
    return seconds


# Thumbnails


def compare_thumbnail(bench: Bench, server: Server) -> None:
    """Measure a thumbnail that is already drawn, beside a bare file of the same bytes."""
    path = _upload_picture(server)
    generator = bench.generator(Workload("GET", [(path, "")]))
    file = generator.folder / "thumbnail.webp"
    file.write_bytes(fetch(server.port, "GET", path))
    with bare_server(generator.folder, "answer_file", "/media/<path:name>", str(file), "image/webp") as floor:
        bench.compare("GET thumbnail", "demo seed", Side(server, generator), "bare file", Side(floor, generator))


def _upload_picture(server: Server) -> str:
    """Upload a picture, have its thumbnail drawn, and return the thumbnail's path."""
    target = _presign(server, "image/jpeg")
    fetch(server.port, "PUT", target.path, _PICTURE.read_bytes(), "image/jpeg")
    asset = _post(server, f"/v1/projects/{target.project}/media/finalize", {"uploadId": target.upload})
    path = urlsplit(asset["thumbnailUrl"]).path
    fetch(server.port, "GET", path)
    return path


def _presign(server: Server, mime_type: str) -> UploadTarget:
    """Presign an upload of a video or an image, in the first project of the list."""
    project = json.loads(fetch(server.port, "GET", "/v1/projects"))["items"][0]["id"]
    body = {"kind": mime_type.partition("/")[0], "mimeType": mime_type}
    upload = _post(server, f"/v1/projects/{project}/media/presign", body)
    return UploadTarget(urlsplit(upload["uploadUrl"]).path, project, upload["uploadId"])


def _post(server: Server, path: str, body: dict[str, str]) -> dict[str, str]:
    answer: dict[str, str] = json.loads(fetch(server.port, "POST", path, json.dumps(body).encode()))
    return answer


# Printing


def _cells(timings: list[UploadTiming], growths: list[int]) -> list[str]:
    upload, write = spread([each.upload for each in timings], " s"), spread([each.write for each in timings], " s")
    ratios = [each.upload / each.write * 100 for each in timings]
    return [f"{UPLOAD_BYTES >> 20} MiB", upload, write, spread(ratios, " %"), ", ".join(map(_megabytes, growths))]


def _megabytes(size_bytes: int) -> str:
    return f"{number(size_bytes / 1e6)} MB"
