"""Slides and posters: the same for the same arguments, another for others, and drawn whatever a client has written."""

import hashlib
import os
import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image
from servers import ROOT

from layers_standin.portraits import look_of
from layers_standin.portraits.backdrop import MOTIFS
from layers_standin.slides.drawing import Person, Words, draw_poster, draw_slide, varied, words_of
from layers_standin.slides.formats import HEIGHT, MIME_TYPE, SLIDE_COUNT, WIDTH

AVA = Person("inf_1", "Ava Chen", {"gender": "female", "hairStyle": "long", "vibe": "calm"})
BRIEF = {
    "topic": "Ceramics for people who run",
    "hook": "You need no studio to throw a bowl",
    "angle": "A kitchen table is enough",
    "cta": "Try the first lesson free",
    "valuePropositions": ["No kiln", "Twenty minutes an evening"],
    "themeTags": ["ceramics", "night runs"],
}
PAGES = [*range(1, SLIDE_COUNT + 1), "poster"]


def draw(page, variety="cnt_1", brief=BRIEF, person=AVA):
    return draw_poster(variety, brief, person) if page == "poster" else draw_slide(page, variety, brief, person)


@pytest.fixture(scope="module")
def pages():
    return {page: draw(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_a_picture_is_an_upright_jpeg_of_less_than_200_kb(pages, page):
    with Image.open(BytesIO(pages[page])) as picture:
        assert (picture.get_format_mimetype(), picture.size, picture.mode) == (MIME_TYPE, (WIDTH, HEIGHT), "RGB")
    assert 40_000 < len(pages[page]) < 200_000


def test_the_same_arguments_give_the_same_bytes_and_no_two_pages_are_alike(pages):
    assert draw("poster", brief=dict(reversed(BRIEF.items()))) == pages["poster"]
    assert len(set(pages.values())) == len(PAGES)


@pytest.mark.slow
def test_another_process_draws_the_same_bytes(pages):
    code = (
        "import hashlib; from layers_standin.slides.drawing import Person, draw_slide;"
        f"print(hashlib.sha256(draw_slide(2, 'cnt_1', {BRIEF!r}, Person{tuple(AVA)!r})).hexdigest())"
    )
    command = [sys.executable, "-c", code]
    env = os.environ | {"PYTHONHASHSEED": "7"}
    out = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8", check=True)
    assert out.stdout.strip() == hashlib.sha256(pages[2]).hexdigest()


@pytest.mark.parametrize(
    ("page", "change"),
    [
        (1, {"brief": BRIEF | {"hook": "Clay waits"}}),
        (1, {"person": AVA._replace(name="Eva Chen")}),
        (1, {"person": AVA._replace(traits={**AVA.traits, "vibe": "playful"})}),
        (1, {"person": None}),
        (1, {"variety": "cnt_2"}),
        (2, {"brief": BRIEF | {"valuePropositions": ["No kiln", "No mess"]}}),
        (2, {"brief": BRIEF | {"topic": "Pots"}}),
        (2, {"brief": BRIEF | {"valuePropositions": []}}),
        (3, {"brief": BRIEF | {"cta": "Come in"}}),
        (3, {"brief": BRIEF | {"themeTags": ["clay"]}}),
        (3, {"person": AVA._replace(seed="inf_2")}),
        ("poster", {"brief": BRIEF | {"hook": "Clay waits"}}),
        ("poster", {"person": AVA._replace(seed="inf_2")}),
    ],
)
def test_a_picture_shows_its_words_and_its_influencer(pages, page, change):
    assert draw(page, **change) != pages[page]


def test_each_making_has_a_backdrop_and_a_mood_of_its_own():
    looks = [varied(look_of(AVA.seed, AVA.traits), f"cnt_{number}") for number in range(40)]
    assert {look.motif for look in looks} == set(MOTIFS)
    assert len({look.mouth for look in looks}) == 2
    assert len({look.shift for look in looks}) == 3
    assert len({look.tilt for look in looks}) == 40


@pytest.mark.parametrize("number", [0, SLIDE_COUNT + 1, -1])
def test_there_are_no_other_slides(number):
    with pytest.raises(ValueError, match=f"There is no slide {number}"):
        draw(number)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "text",
    ["wörter " * 150_000, "🎉\u0000\u202e\ud800", "نص عربي طويل 日本語の文章 ไทย"],
    ids=["a million", "nothing legible", "other scripts"],
)
def test_any_text_can_be_drawn(page, text):
    brief = dict.fromkeys(("topic", "angle", "cta", "hook"), text) | dict.fromkeys(
        ("valuePropositions", "themeTags"), [text] * 20
    )
    drawn = draw(page, text[:100], brief, Person(text[:100], text, {"vibe": text[:100]}))
    assert len(drawn) < 300_000


@pytest.mark.parametrize("brief", [{}, dict.fromkeys(BRIEF), {"language": "en", "targetPlatforms": ["tiktok"]}])
def test_a_brief_may_say_nothing(brief):
    assert words_of(brief) == Words("", "", (), "", "")
    with Image.open(BytesIO(draw(2, brief=brief, person=None))) as picture:
        assert picture.size == (WIDTH, HEIGHT)


def test_a_missing_word_is_replaced_by_the_next_best():
    assert words_of({"topic": "Clay", "hook": "🎉", "cta": None}) == Words("Clay", "Clay", (), "Clay", "")
    assert words_of({"angle": "At home", "themeTags": ["slow craft"]}) == Words(
        "At home", "At home", (), "At home", "#slowcraft"
    )
    assert words_of({"valuePropositions": ["", "Cheap", "🎉", "Fast"]}) == Words(
        "Cheap", "Cheap", ("Cheap", "Fast"), "", ""
    )
