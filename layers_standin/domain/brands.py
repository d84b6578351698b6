"""Brands: what an ingest finds out about one, made from the words of an address, and the first person to speak for it.

Nothing is fetched. The same words and language always make the same brand.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from layers_standin.engines.table import Record

T = TypeVar("T")

_MAX_WORD, _MAX_KEYWORDS = 32, 8
_WORD = re.compile(r"[^\W\d_]\w*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # between the words of camelCase
_OFFICIAL = {"ac", "co", "com", "edu", "gov", "net", "org"}  # that come before a country, as in .co.uk


class _Voice(NamedTuple):
    """How a brand speaks, and the person who speaks like that."""

    words: str
    traits: list[str]
    values: list[str]
    humor: str
    speaking_style: str
    vibe: str


_VOICES = (
    _Voice("warm and plain-spoken", ["warm", "attentive"], ["honesty", "care"], "gentle", "short sentences", "cozy"),
    _Voice("bright and playful", ["playful", "quick"], ["joy", "openness"], "teasing", "asks back", "bright and happy"),
    _Voice("calm and precise", ["calm", "precise"], ["craft", "clarity"], "dry", "one thought at a time", "calm focus"),
    _Voice("bold and direct", ["bold", "direct"], ["courage", "fairness"], "deadpan", "to the point", "urban energy"),
)
_AUDIENCES = (
    ("people who start something new", "Adults of 25 to 44 who try a new app each month and tell their friends."),
    ("busy people with little time", "Working people of 30 to 50 who want it done in five minutes."),
    ("students and young professionals", "People of 18 to 29 who live on their phones and plan by the day."),
    ("families and friends who plan together", "Parents of 28 to 45 who keep a household going together."),
)
_DESCRIPTIONS = (
    "{name} helps {audience} to get more out of every day.",
    "With {name}, {audience} find in one place all that they need.",
    "{name} is a small app for {audience}, made with care.",
)
_TAGLINES = (
    "{name}. Made for today.",
    "Start with {name}.",
    "A little more {word} every day.",
    "{name} keeps it simple.",
)
_PERSON = ("name", "gender", "ethnicity", "hairColor", "hairStyle")
_PEOPLE = (
    ("Mila Torres", "female", "Latina", "dark brown", "wavy bob"),
    ("Theo Lindqvist", "male", "Nordic", "blond", "side part"),
    ("Amara Obi", "female", "Nigerian", "black", "short curls"),
    ("Kenji Mori", "male", "Japanese", "black", "textured crop"),
    ("Robin Patel", "nonbinary", "South Asian", "black", "bun"),
    ("Leni Baumann", "female", "European", "red", "long, with a fringe"),
)
_AGES, _BODIES = ("18-24", "25-34", "35-44"), ("slim", "athletic", "average", "curvy")
_STYLES = ("minimal streetwear", "smart casual", "vintage denim", "sporty layers")


def brand_of_url(url: str, language: str) -> Record:
    """Return the brand context of a website; `language` is the project's `primaryLanguage`.

    The name comes from the host without its ending, the keywords from host and path; the query is not looked at.
    """
    parts = urlsplit(url)
    host = _decoded(parts.hostname or "").split(".")
    while len(host) > 1 and host[0] in ("www", "app"):
        host.pop(0)
    domain = host[:-1] or host
    if len(domain) > 1 and domain[-1] in _OFFICIAL:
        domain.pop()
    *before, name = domain
    return _brand(_words(name), _words(*before, unquote(parts.path)), language)


def brand_of_repository(full_name: str, language: str) -> Record:
    """Return the brand context of a repository `owner/name`."""
    owner, _, name = full_name.partition("/")
    return _brand(_words(name), _words(owner), language)


def spokesperson(brand: Mapping[str, Any]) -> Record:
    """Return the create body of the first influencer of a brand: a person who speaks as the brand does."""
    seed = str(brand["appName"])
    voice = next(each for each in _VOICES if each.words == brand["brandVoice"])
    return {
        **dict(zip(_PERSON, _chosen(_PEOPLE, "person", seed), strict=True)),
        "ageRange": _chosen(_AGES, "age", seed),
        "bodyType": _chosen(_BODIES, "body", seed),
        "style": _chosen(_STYLES, "style", seed),
        "vibe": voice.vibe,
        "personality": {
            "traits": voice.traits,
            "values": voice.values,
            "interests": brand["keywords"],
            "catchphrases": [brand["tagline"]],
            "tone": voice.words,
            "humor": voice.humor,
            "speakingStyle": voice.speaking_style,
        },
    }


def _brand(name_words: Sequence[str], more_words: Sequence[str], language: str) -> Record:
    words = name_words or more_words or ["app"]
    name = " ".join(word[:1].upper() + word[1:] for word in words[:4])
    audience, ideal = _chosen(_AUDIENCES, "audience", name)
    return {
        "appName": name,
        "appDescription": _chosen(_DESCRIPTIONS, "description", name).format(name=name, audience=audience),
        "tagline": _chosen(_TAGLINES, "tagline", name).format(name=name, word=words[-1].lower()),
        "audience": audience,
        "icp": ideal,
        "brandVoice": _chosen(_VOICES, "voice", name).words,
        "keywords": list(dict.fromkeys(word.lower() for word in [*words, *more_words]))[:_MAX_KEYWORDS],
        "primaryLanguage": language,
        "logoUrl": None,
    }


def _words(*texts: str) -> list[str]:
    """Return the words of some texts, those of camelCase too; a number is no word."""
    return [word[:_MAX_WORD] for text in texts for word in _WORD.findall(_HUMP.sub(" ", text).replace("_", " "))]


def _decoded(host: str) -> str:
    """Return a host with the letters that its `xn--` labels stand for."""
    try:
        return host.encode("ascii").decode("idna")
    except UnicodeError:
        return host


def _chosen(options: Sequence[T], *seed: str) -> T:
    number = int.from_bytes(sha256("\0".join(seed).encode("utf-8", "surrogatepass")).digest()[:4])
    return options[number % len(options)]
