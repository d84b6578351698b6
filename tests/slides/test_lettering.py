"""Words on a picture: any text has a place and stays in it, and no letter that is missing becomes an empty box."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers_standin.slides.lettering import broken, fitted, has_glyph, legible, runs, width_of

SIZES = (96, 72, 48)


def test_the_font_has_the_letters_of_europe_and_an_arrow():
    text = "Crème brûlée, Łódź, Żółć, İstanbul, Ελλάδα, Привіт, Việt Nam: 5 € “so” \u2013 → №"
    assert [character for character in text if not has_glyph(character)] == []


@pytest.mark.parametrize("character", "日한กअعא𐍈")
def test_letters_that_the_font_lacks_are_known(character):
    assert not has_glyph(character)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  so   much\n\tspace ", "so much space"),
        ("a\u0000b\u202ec\ud800d", "abcd"),
        ("Party 🎉 👩🏽‍🎤 tonight", "Party tonight"),
        ("🎉", ""),
        ("\U0001d5d5\U0001d5fc\U0001d5f9\U0001d5f1 \uff46\uff55\uff4c\uff4c", "Bold full"),
        ("cafe\u0301", "café"),
        ("東京 in May", "東京 in May"),
        ("x" * 2**20, "x" * 279 + "…"),
        ("", ""),
    ],
    ids=["space", "controls", "emoji", "only emoji", "styled", "combined", "other script", "long", "empty"],
)
def test_what_nobody_can_read_is_left_out(text, shown):
    assert legible(text) == shown


def test_a_line_is_parted_by_what_the_font_has():
    assert list(runs("東京 in May")) == [(False, "東京"), (True, " in May")]


def test_text_is_as_large_as_fits_and_its_lines_are_about_equal():
    assert fitted("Stop", 900, 600, SIZES) == (["Stop"], 96, False)
    block = fitted("Twenty minutes of an evening are enough", 900, 120, SIZES)
    assert block == (["Twenty minutes of an", "evening are enough"], 48, False)


def test_a_long_word_makes_the_letters_smaller_before_it_is_broken():
    assert fitted("Donaudampfschiff", 700, 600, SIZES) == (["Donaudampfschiff"], 72, False)
    assert fitted("Donaudampfschiff" * 2, 700, 600, SIZES).lines == ["DonaudampfschiffDonaudampf", "schiff"]


def test_a_script_without_spaces_stays_large():
    assert fitted("東京の長い夏の夜", 300, 600, SIZES).size == 96


def test_more_than_fits_ends_in_an_ellipsis():
    block = fitted("word " * 50, 400, 110, SIZES)
    assert block == (["word word word", "word word word…"], 48, False)


@pytest.mark.parametrize(
    ("text", "is_leftward"), [("مرحبا", True), ("שלום you", True), ("9 o'clock", False), ("7", False)]
)
def test_the_direction_is_that_of_the_first_letter(text, is_leftward):
    assert fitted(text, 900, 600, SIZES).is_leftward is is_leftward


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    text=st.one_of(st.text(max_size=400), st.text(st.sampled_from("ab Wi日ع.…\u0301"), max_size=400)),
    width=st.integers(120, 1000),
    height=st.integers(60, 800),
)
def test_no_text_leaves_its_place(text, width, height):
    block = fitted(text, width, height, SIZES)
    assert block.height <= height
    assert all(width_of(line, block.size) <= width for line in block.lines)
    assert broken(legible(text), block.size, width)[:1] == [] or block.lines != []
