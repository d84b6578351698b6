"""The measured operations on a store of many influencers and containers, each compared with a bare view or page."""

import json
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.documents import CONTAINERS, Sample, content, description
from benchmarks.load import MARK, Workload
from benchmarks.rounds import NO_TARGETS, Bench, Side, SlowSide, Targets
from benchmarks.servers import Server, bare_server, fetch

SAME = Targets(cpu=1.15, rate=0.85)  # within 15 %

PAGE_SIZE, FAR_PAGE = 25, 10_000

_INFLUENCER = "/v1/influencers/<influencer_id>"
_INFLUENCERS = "/v1/projects/<project_id>/influencers"
_CONTENT = "/v1/projects/<project_id>/content"


class ServedStore(NamedTuple):
    """A running stand-in on a store of `size` influencers, and a sample of the ids in it."""

    server: Server
    sample: Sample
    size: int


class Operation(NamedTuple):
    """An operation: its name in the table, its route as Flask writes it, and its workload for a sample of ids.

    `beside_bare` and `beside_sql` are the targets beside a bare view, and beside one that runs one statement.
    """

    title: str
    rule: str
    workload: Callable[[Sample], Workload]
    beside_bare: Targets
    beside_sql: Targets = NO_TARGETS
    side: type[Side] = Side  # SlowSide: one request after the other, on both sides


def get(sample: Sample) -> Workload:
    return Workload("GET", [(f"/v1/influencers/{influencer}", "") for influencer in sample.influencers])


def patch(sample: Sample) -> Workload:
    body = _json({"vibe": f"calm and curious, take {MARK}", "personality": {"tone": f"friendly {MARK}"}})
    return Workload("PATCH", [(f"/v1/influencers/{influencer}", body) for influencer in sample.influencers])


def attach(sample: Sample) -> Workload:
    """Attach an asset to every influencer before the next one.

    With the times on them in whole seconds, attaching the same one twice within a second would be a write that
    changes nothing.
    """
    bodies = [_json({"assetIds": [asset]}) for asset in sample.assets]
    paths = [f"/v1/influencers/{influencer}/reference-images" for influencer in sample.influencers]
    return Workload("POST", [(path, body) for body in bodies for path in paths])


def first_page(sample: Sample) -> Workload:
    return Workload("GET", [(_list_path(sample), "")])


def create(sample: Sample) -> Workload:
    body = _json(description() | {"vibe": f"calm and curious, take {MARK}"})
    return Workload("POST", [(_list_path(sample), body)], is_keyed=True)


def content_page(sample: Sample) -> Workload:
    return Workload("GET", [(_content_path(sample), "")])


def generate(format_: str, sample: Sample) -> Workload:
    """Generate content with a hook of its own in each request, so that every picture has to be drawn."""
    body = content(sample.influencers[0], format_)
    body["brief"]["hook"] += f", take {MARK}"
    return Workload("POST", [(_content_path(sample), _json(body))], is_keyed=True)


# By the names for --only.
OPERATIONS = {
    "get": Operation("GET influencer", _INFLUENCER, get, Targets(1.25, 0.8), Targets(rate=0.75)),
    "patch": Operation("PATCH influencer", _INFLUENCER, patch, Targets(2, 0.45), Targets(rate=0.55)),
    "attach": Operation("POST reference-images", f"{_INFLUENCER}/reference-images", attach, Targets(2.2)),
    "list": Operation("GET influencers, page 1", _INFLUENCERS, first_page, Targets(1.8)),
    "create": Operation("POST influencers", _INFLUENCERS, create, Targets(2.8)),
    "content": Operation(f"GET content, 25 of {CONTAINERS:,}", _CONTENT, content_page, NO_TARGETS),
    "video": Operation("POST content, video", _CONTENT, partial(generate, "video_remix"), NO_TARGETS, side=SlowSide),
    "slides": Operation(
        "POST content, slideshow", _CONTENT, partial(generate, "slideshow_remix"), NO_TARGETS, side=SlowSide
    ),
}
CREATING = ("create", "video", "slides")  # these make a store larger


def compare_with_bare(bench: Bench, operation: Operation, store: ServedStore) -> None:
    """Measure an operation beside a bare view that answers the same bytes."""
    workload = operation.workload(store.sample)
    generator = bench.generator(workload)
    body = generator.folder / "answer.json"
    body.write_bytes(_answer(store.server, workload))
    with bare_server(generator.folder, "answer_bytes", workload.method, operation.rule, str(body)) as floor:
        ours, other = operation.side(store.server, generator), operation.side(floor, generator)
        bench.compare(operation.title, f"{store.size:,}", ours, "bare view", other, operation.beside_bare)


def compare_with_sql(bench: Bench, operation: Operation, store: ServedStore, url: str) -> None:
    """Measure an operation beside a view that runs one statement on the table `plain` of the database at `url`."""
    generator = bench.generator(operation.workload(store.sample))
    with bare_server(generator.folder, "postgres_view", url) as plain:
        ours, other = Side(store.server, generator), Side(plain, generator)
        bench.compare(operation.title, f"{store.size:,}", ours, "one statement", other, operation.beside_sql)


def compare_pages(bench: Bench, store: ServedStore) -> None:
    """Measure page FAR_PAGE of a list, or the last page of a shorter list, beside the first page."""
    page = min(FAR_PAGE, store.size // PAGE_SIZE)
    far = bench.generator(Workload("GET", [(_path_of_page(store, page), "")]))
    ours, other = Side(store.server, far), Side(store.server, bench.generator(first_page(store.sample)))
    bench.compare(f"GET influencers, page {page:,}", f"{store.size:,}", ours, "page 1", other, SAME)


def _answer(server: Server, workload: Workload) -> bytes:
    """Send up to three of the requests for the first path, and return the last answer."""
    first, _ = workload.requests[0]
    bodies = [body for path, body in workload.requests if path == first]
    return [fetch(server.port, workload.method, first, body.encode()) for body in bodies[:3]][-1]


def _path_of_page(store: ServedStore, page: int) -> str:
    """Return the path of a page, found by following the cursors from the first one."""
    first = path = _list_path(store.sample)
    for _ in range(page - 1):
        path = f"{first}?cursor={json.loads(fetch(store.server.port, 'GET', path))['nextCursor']}"
    return path


def _list_path(sample: Sample) -> str:
    return f"/v1/projects/{sample.project}/influencers"


def _content_path(sample: Sample) -> str:
    return f"/v1/projects/{sample.project}/content"


def _json(body: object) -> str:
    return json.dumps(body, separators=(",", ":"))
