"""The words under a piece of content: made from its brief alone, so the same brief is worded the same way."""

import re
from collections.abc import Mapping
from typing import Any

MAX_CAPTION = 2200  # characters: no platform takes more
_MAX_PART = 400
_MAX_TAGS = 10
_NO_TAG = re.compile(r"[\W_]+")
_OPENINGS = ("{}", "Let's talk about {}", "{}, in my own words", "One thing about {}", "Why {}")


def caption_of(brief: Mapping[str, Any], name: str | None, variety: int) -> str:
    """Return a caption of at most MAX_CAPTION characters; `name` is the influencer's, `variety` words it anew."""
    without_words = f"{name}'s day" if name else "A new day"
    opening: str = brief.get("hook") or brief.get("topic") or brief.get("angle") or without_words
    sentences = [_OPENINGS[variety % len(_OPENINGS)].format(_short(opening))]
    if brief.get("angle") and brief["angle"] != opening:
        sentences.append(_short(brief["angle"]))
    sentences += [_short(each) for each in brief.get("valuePropositions", ())[:3] if each]
    if brief.get("cta"):
        sentences.append(_short(brief["cta"]))
    return " ".join(_ended(each) for each in sentences)[:MAX_CAPTION]


def first_comment_of(brief: Mapping[str, Any]) -> str | None:
    """Return the hashtags of the brief's themes, or None without any."""
    tags = (_NO_TAG.sub("", tag)[:_MAX_PART] for tag in brief.get("themeTags", ())[:_MAX_TAGS])
    return " ".join(f"#{tag}" for tag in tags if tag)[:MAX_CAPTION] or None


def _short(text: str) -> str:
    return text.strip() if len(text) <= _MAX_PART else f"{text[: _MAX_PART - 1].strip()}…"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
