"""The drawn portraits: the same for the same input, everywhere; different for another."""

import os
import subprocess
import sys
from hashlib import sha256
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from servers import ROOT

from layers_standin.portraits import draw_portrait, look_of, portrait_png

TRAITS = {
    "gender": "female",
    "ageRange": "25-34",
    "ethnicity": "East Asian",
    "bodyType": "slim",
    "hairColor": "black",
    "hairStyle": "long",
    "style": "minimal streetwear",
    "vibe": "calm",
}
SMALL = 64  # px: quick to draw where only the difference matters


def test_the_same_input_gives_the_same_bytes():
    assert portrait_png("inf_1", TRAITS) == portrait_png("inf_1", dict(reversed(TRAITS.items())))


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_another_process_draws_the_same_bytes(hash_seed):
    code = (
        "import hashlib; from layers_standin.portraits import portrait_png;"
        f"print(hashlib.sha256(portrait_png('inf_1', {TRAITS!r}, {SMALL})).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, encoding="utf-8", check=True
    )
    assert out.stdout.strip() == sha256(portrait_png("inf_1", TRAITS, SMALL)).hexdigest()


def test_another_seed_gives_another_picture():
    pictures = {portrait_png(f"inf_{number}", TRAITS, SMALL) for number in range(12)}
    assert len(pictures) == 12


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gender", "male"),
        ("ethnicity", "Black"),
        ("bodyType", "curvy"),
        ("hairColor", "platinum blonde"),
        ("hairColor", "colour of the sea at night"),
        ("hairStyle", "bob"),
        ("hairStyle", "bald"),
        ("style", "vintage"),
        ("vibe", "playful"),
    ],
)
def test_a_trait_changes_the_picture(name, value):
    assert portrait_png("inf_1", {**TRAITS, name: value}, SMALL) != portrait_png("inf_1", TRAITS, SMALL)


def test_age_turns_some_hair_grey():
    old, young = (
        [look_of(f"inf_{n}", {**TRAITS, "ageRange": age}).hair for n in range(20)] for age in ("65+", "18-24")
    )
    assert len(set(young)) == 1
    assert len(set(old)) == 2


@pytest.mark.parametrize(
    ("text", "back", "front"),
    [
        ("long straight with curtain bangs", "long", "curtain"),
        ("short fade", "none", "fade"),
        ("Curly", "cloud", "curls"),
        ("short wavy", "none", "waves"),
        ("messy bun", "bun", "pulled"),
        ("box braids", "braids", "pulled"),
        ("buzz cut", "none", "buzz"),
        ("bob with bangs", "bob", "bangs"),
        ("bald", "none", "none"),
    ],
)
def test_hair_styles_are_read_by_their_words(text, back, front):
    look = look_of("inf_1", {"hairStyle": text})
    assert (look.back, look.front) == (back, front)


def test_a_word_inside_another_word_is_not_read():
    assert look_of("inf_1", {"hairColor": "red"}).hair != look_of("inf_1", {"hairColor": "layered"}).hair


@pytest.mark.parametrize(
    "text",
    [None, "", " ", "x" * 100_000, "💇🏽‍♀️✨", "شعر طويل أسود", "a\u0000b", "\ud800", "٣٤", "(?:[", "999999999999"],
    ids=["null", "empty", "blank", "long", "emoji", "rtl", "nul", "surrogate", "digits", "regex", "number"],
)
def test_any_text_can_be_drawn(text):
    picture = draw_portrait(text or "inf_1", dict.fromkeys(TRAITS, text), SMALL)
    assert picture.size == (SMALL, SMALL)


def test_no_traits_at_all_can_be_drawn():
    assert draw_portrait("", {}, SMALL).mode == "RGB"


words = st.one_of(
    st.none(),
    st.text(),
    st.sampled_from(["ponytail", "locs", "afro", "braids", "medium", "pixie", "65+", "male", "boho"]),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(seed=st.text(), traits=st.dictionaries(st.sampled_from(sorted(TRAITS)), words))
def test_every_seed_and_text_has_a_portrait(seed, traits):
    assert draw_portrait(seed, traits, 16).size == (16, 16)


def test_the_file_is_a_png_of_512_px_in_many_colours():
    with Image.open(BytesIO(portrait_png("inf_1", TRAITS))) as picture:
        assert (picture.format, picture.size) == ("PNG", (512, 512))
        assert len(picture.convert("RGB").getcolors(512 * 512)) > 50
