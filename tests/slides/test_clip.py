"""The clip: it is as its constants say, begins before all of it is here, and plays in a browser."""

import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest
from servers import PATIENCE_SECONDS, ROOT

from layers_standin.slides.formats import CLIP

CONTAINERS = {"moov", "trak", "mdia", "minf", "stbl"}


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each box of an MP4 file, in order, the boxes of boxes too."""
    while data:
        size, name = struct.unpack(">I4s", data[:8])
        content, data = data[8:size], data[size:]
        yield name.decode("ascii"), content
        if name.decode("ascii") in CONTAINERS:
            yield from boxes(content)


@pytest.fixture(scope="module")
def found() -> list[tuple[str, bytes]]:
    return list(boxes(CLIP.path.read_bytes()))


def test_the_clip_has_the_duration_and_the_size_that_its_constants_say(found):
    timescale, duration = struct.unpack(">II", dict(found)["mvhd"][12:20])
    assert duration * 1000 == CLIP.duration_ms * timescale
    sizes = [struct.unpack(">II", content[-8:]) for name, content in found if name == "tkhd"]
    assert sizes == [(CLIP.width << 16, CLIP.height << 16), (0, 0)]  # picture and sound


def test_any_player_can_play_it_and_begins_at_once(found):
    names = [name for name, _ in found]
    assert names.index("moov") < names.index("mdat")
    picture, sound = [content for name, content in found if name == "stsd"]
    assert (picture[12:16], sound[12:16]) == (b"avc1", b"mp4a")
    profile = picture[picture.index(b"avcC") + 5]
    assert profile == 66  # H.264's baseline


def test_the_clip_is_small():
    assert CLIP.path.stat().st_size < 300_000


def test_the_constants_are_known_without_pillow():
    code = "import sys, layers_standin.slides.formats; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.slow
def test_a_browser_plays_it_to_its_end():
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("the clip is played in Chromium, which is not here")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser, and is not here")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_SECONDS * 1000)
            page.goto(CLIP.path.as_uri(), wait_until="commit")
            page.wait_for_selector("video")
            if not page.evaluate("""document.createElement("video").canPlayType('video/mp4; codecs="avc1.42C01F"')"""):
                pytest.skip("this Chromium is built without H.264")
            played = page.evaluate(
                """async () => {
                    const video = document.querySelector("video");
                    const ended = new Promise((resolve, reject) => {
                        video.addEventListener("ended", resolve);
                        video.addEventListener("error", () => reject(new Error(video.error.message)));
                    });
                    video.muted = true;
                    video.playbackRate = 16;
                    await video.play();
                    await ended;
                    return [video.videoWidth, video.videoHeight, Math.round(video.duration * 1000)];
                }"""
            )
        finally:
            browser.close()
    assert played == [CLIP.width, CLIP.height, CLIP.duration_ms]
