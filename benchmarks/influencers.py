"""What is asked of a store of many influencers, and what each answer is compared with."""

import json
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.documents import Sample, description
from benchmarks.load import MARK, Asked
from benchmarks.rounds import Bench, Side
from benchmarks.servers import Server, ask, bare

PAGE_SIZE, FAR_PAGE = 25, 10_000

_INFLUENCER = "/v1/influencers/<influencer_id>"
_INFLUENCERS = "/v1/projects/<project_id>/influencers"


class Filled(NamedTuple):
    """A stand-in on a store of `size` influencers, and a sample of what is in it."""

    server: Server
    sample: Sample
    size: int


class Operation(NamedTuple):
    """What the table calls an operation, its route in Flask's notation, and what to ask of a store with that sample."""

    title: str
    rule: str
    asked: Callable[[Sample], Asked]


def get(sample: Sample) -> Asked:
    return Asked("GET", [(f"/v1/influencers/{influencer}", "") for influencer in sample.influencers])


def patch(sample: Sample) -> Asked:
    body = _json({"vibe": f"calm and curious, take {MARK}", "personality": {"tone": f"friendly {MARK}"}})
    return Asked("PATCH", [(f"/v1/influencers/{influencer}", body) for influencer in sample.influencers])


def attach(sample: Sample) -> Asked:
    """Attach an asset to every influencer before the next one.

    With the times on them in whole seconds, attaching the same one twice within a second would be a write that
    changes nothing.
    """
    bodies = [_json({"assetIds": [asset]}) for asset in sample.assets]
    paths = [f"/v1/influencers/{influencer}/reference-images" for influencer in sample.influencers]
    return Asked("POST", [(path, body) for body in bodies for path in paths])


def first_page(sample: Sample) -> Asked:
    return Asked("GET", [(_list_path(sample), "")])


def create(sample: Sample) -> Asked:
    body = _json(description() | {"vibe": f"calm and curious, take {MARK}"})
    return Asked("POST", [(_list_path(sample), body)], is_keyed=True)


# By what --only calls them.
OPERATIONS = {
    "get": Operation("GET influencer", _INFLUENCER, get),
    "patch": Operation("PATCH influencer", _INFLUENCER, patch),
    "attach": Operation("POST reference-images", f"{_INFLUENCER}/reference-images", attach),
    "list": Operation("GET influencers, page 1", _INFLUENCERS, first_page),
    "create": Operation("POST influencers", _INFLUENCERS, create),
}


def compare_with_bare(bench: Bench, operation: Operation, store: Filled) -> None:
    """Measure an operation beside a bare view that answers the same bytes."""
    asked = operation.asked(store.sample)
    load = bench.load(asked)
    body = load.folder / "answer.json"
    body.write_bytes(_answer(store.server, asked))
    with bare(load.folder, "answer_bytes", asked.method, operation.rule, str(body)) as floor:
        ours, other = Side(store.server, load), Side(floor, load)
        bench.compare(operation.title, f"{store.size:,}", ours, "bare view", other)


def compare_pages(bench: Bench, store: Filled) -> None:
    """Measure a page far down a list, the last one of a short list, beside its first."""
    page = min(FAR_PAGE, store.size // PAGE_SIZE)
    far = bench.load(Asked("GET", [(_walk(store, page), "")]))
    ours, other = Side(store.server, far), Side(store.server, bench.load(first_page(store.sample)))
    bench.compare(f"GET influencers, page {page:,}", f"{store.size:,}", ours, "page 1", other)


def _answer(server: Server, asked: Asked) -> bytes:
    """Ask some of what is asked of the first path, and return the last answer."""
    first, _ = asked.requests[0]
    bodies = [body for path, body in asked.requests if path == first]
    return [ask(server.port, asked.method, first, body.encode()) for body in bodies[:3]][-1]


def _walk(store: Filled, page: int) -> str:
    """Follow a list's cursors to a page, and return its path."""
    first = path = _list_path(store.sample)
    for _ in range(page - 1):
        path = f"{first}?cursor={json.loads(ask(store.server.port, 'GET', path))['nextCursor']}"
    return path


def _list_path(sample: Sample) -> str:
    return f"/v1/projects/{sample.project}/influencers"


def _json(body: object) -> str:
    return json.dumps(body, separators=(",", ":"))
