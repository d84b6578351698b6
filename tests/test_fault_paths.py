"""Which paths a fault's pattern stands for, however it is written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.faults import fits_path

patterns = st.lists(st.sampled_from(["a", "b", "/", "{x}", "{}", "{", "}"]), max_size=8).map("".join)
paths = st.text("ab/{}", max_size=8)


@given(patterns, paths)
def test_a_placeholder_is_at_least_one_character_and_no_slash(pattern, path):
    parts = re.split(r"\{[^/{}]*\}", pattern)
    assert fits_path(pattern, path) == bool(re.fullmatch("[^/]+".join(map(re.escape, parts)), path))


@pytest.mark.parametrize("pattern", ["{a}" * 100 + "!", "{a}x" * 100 + "!", "x{a}" * 100 + "!"])
@pytest.mark.parametrize("path", ["x" * 8000, "x" * 40])
def test_many_placeholders_keep_nobody_busy(pattern, path):
    assert not fits_path(pattern, path)
