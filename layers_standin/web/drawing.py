"""Draw the pictures of content and store them, before the transaction that writes their assets: it does not wait."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

import orjson

from layers_standin.domain.containers import Plan
from layers_standin.domain.content import new_content_asset
from layers_standin.engines.errors import EngineError, Unavailable, Unconfirmed
from layers_standin.engines.table import Record
from layers_standin.media.turns import DRAWING_CONTENT, one_at_a_time
from layers_standin.slides.formats import CLIP, HEIGHT, MIME_TYPE, SLIDE_COUNT, WIDTH
from layers_standin.web.operations import Call

POSTER = 0  # in place of a slide's number
_KEPT_PICTURES = 48  # of at most 200 kB: suites generate the same content again and again
_MOST_WORDS, _MOST_CHARACTERS = 8, 500
_DRAWN_FIELDS = ("topic", "angle", "cta", "hook", "valuePropositions", "themeTags")


class Drawer:
    """Draws the assets of a plan once, however often the transaction is tried."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._drawn: list[list[Record]] | None = None

    def draw(self, plan: Plan) -> list[list[Record]]:
        """Return the assets of each container of a plan; their bytes are stored. Raises Unavailable."""
        if plan.kept is not None:
            return [plan.kept]
        if self._drawn is None:
            try:
                self._drawn = [list(self._assets_of(plan, variety)) for variety in plan.varieties]
            except OSError as error:
                raise Unavailable(f"The pictures cannot be written: {error.strerror}.") from error
        return self._drawn

    def discard_unused(self) -> None:
        """Discard the bytes that no asset has; if the store does not answer, a later sweep discards them."""
        with suppress(EngineError):
            for asset in (asset for assets in self._drawn or () for asset in assets):
                if not self._call.store.assets.has_file(asset["assetId"]):
                    self._call.services.media.discard(self._call.store.organization, asset["assetId"])

    def _assets_of(self, plan: Plan, variety: int) -> Iterator[Record]:
        """Yield the assets of one container: three slides, or a clip and its poster."""
        if plan.format == "slideshow_remix":
            for number in range(1, SLIDE_COUNT + 1):
                yield self._picture(plan, variety, number, f"slide-{number}.jpg")
            return
        poster = self._picture(plan, variety, POSTER, "poster.jpg")
        facts = {"durationMs": CLIP.duration_ms, "width": CLIP.width, "height": CLIP.height}
        clip = self._stored(plan, "video", CLIP.mime_type, "clip.mp4", _clip(), facts)
        yield clip | {"thumbnailPath": poster["thumbnailPath"]}
        yield poster

    def _picture(self, plan: Plan, variety: int, number: int, filename: str) -> Record:
        given, influencer = plan.brief or {}, plan.influencer
        brief = {field: _cut(given[field]) for field in _DRAWN_FIELDS if field in given}
        person = influencer and [given["influencerId"], influencer["name"], influencer["traits"]]
        with one_at_a_time(DRAWING_CONTENT):
            data = _picture(number, orjson.dumps([variety, brief, person], option=orjson.OPT_SORT_KEYS))
        facts = {"durationMs": None, "width": WIDTH, "height": HEIGHT}
        return self._stored(plan, "image", MIME_TYPE, filename, data, facts)

    def _stored(self, plan: Plan, kind: str, mime_type: str, filename: str, data: bytes, facts: Record) -> Record:
        """Store the bytes of a new asset, and return it."""
        store, project_id = self._call.store, plan.project["id"]
        asset = new_content_asset(store.organization, project_id, kind, mime_type, filename, data, store.now())
        self._call.services.media.put(asset["organizationId"], asset["assetId"], data)
        return asset | facts


def _cut(words: Any) -> Any:
    """Return the words that have room on a picture."""
    return words[:_MOST_CHARACTERS] if isinstance(words, str) else [_cut(each) for each in words[:_MOST_WORDS]]


@lru_cache(_KEPT_PICTURES)
def _picture(number: int, drawn: bytes) -> bytes:
    """Return a slide, or the POSTER, as JPEG; `drawn` is JSON: [variety, brief, [id, name, traits] or null]."""
    from layers_standin.slides.drawing import Person, draw_poster, draw_slide  # noqa: PLC0415 - Pillow slows starts

    variety, brief, person = orjson.loads(drawn)
    shown = None if person is None else Person(*person)
    text = f"{variety}/{sha256(drawn).hexdigest()}"
    return draw_poster(text, brief, shown) if number == POSTER else draw_slide(number, text, brief, shown)


@cache
def _clip() -> bytes:
    return CLIP.path.read_bytes()


@contextmanager
def drawing(call: Call) -> Iterator[Drawer]:
    """Yield a Drawer; after the block, discard what it drew for nothing, unless a commit was not confirmed."""
    drawer = Drawer(call)
    try:
        yield drawer
    except Unconfirmed:
        raise
    except BaseException:
        drawer.discard_unused()
        raise
    else:
        drawer.discard_unused()
