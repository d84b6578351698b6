"""Reading an influencer's fields: from free text and a seed to a `Look`, which says all that is drawn."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from layers_standin.portraits.dice import Dice
from layers_standin.portraits.palette import (
    EYES,
    FRAMES,
    GREY_HAIR,
    HAIRS,
    INK,
    LIPS,
    METALS,
    NATURAL_HAIRS,
    SKINS,
    THEMES,
    WHITE,
    Colour,
    Theme,
    mix,
)

T = TypeVar("T")
Traits = Mapping[str, str | None]


@dataclass(frozen=True)
class Look:
    """One portrait's choices: colours, the names of its parts, and measures in figure units."""

    skin: Colour
    hair: Colour
    back: str
    front: str
    texture: float
    beard: str
    eyes: Colour
    lips: Colour
    lashes: bool
    mouth: str
    face_width: float
    jaw: float
    brow: float
    eye_gap: float
    nose: float
    lines: bool
    freckles: bool
    shoulders: float
    garment: str
    cloth: Colour
    under: Colour
    pattern: str
    glasses: str
    frames: Colour
    earrings: str
    metal: Colour
    theme: Theme
    motif: str
    tilt: float
    scale: float = 1.16
    shift: float = 0.0


# each table: a word's beginning -> its choice; the first word that the text contains decides
THEME_WORDS = {
    "calm|seren|zen|sooth|mindful|gentle|wellness|authorit|quiet": "calm",
    "precis|minimal|clean|focus|professional|cool|modern|scandi": "cool",
    "energ|sport|athlet|dynamic|fit|active|motivat": "energy",
    "play|fun|bold|bubbl|quirk|cheer|sassy|pop": "playful",
    "dream|soft|romant|ethereal|mystic|poetic|whims": "dreamy",
    "vintage|retro|nostalg|indie|classic|thrift": "vintage",
    "elegan|lux|glam|sophist|chic|refined|confiden|formal|tailor": "elegant",
    "street|urban|edgy|grunge|rebel|dark|goth|raw": "urban",
    "natur|outdoor|earth|eco|boho|organic|garden|adventur": "nature",
    "tech|futur|cyber|geek|smart|curious|innovat|digital": "tech",
    "warm|cozy|cosy|friend|kind|approach|homey|authentic": "warm",
    "sun|bright|happy|optimis|joy|beach|summer|tropic": "sunny",
}
GARMENT_WORDS = {
    "street|urban|skate|hip|sport|athlei|gym|active": ("hoodie",),
    "tailor|business|formal|suit|professional|corporate|smart|classic": ("blazer",),
    "vintage|retro|preppy|indie|western|denim": ("shirt",),
    "minimal|scandi|clean|modern|monochrom": ("turtleneck", "crew"),
    "bold|colou?r|pop|pattern|maximal": ("stripes", "dots"),
    "boho|romant|soft|beach|summer": ("v-neck", "scoop"),
    "elegan|glam|lux|chic|evening": ("scoop", "blazer"),
    "casual|relax|comfy|basic|every": ("crew", "v-neck"),
}
GARMENTS = ("crew", "v-neck", "scoop", "shirt", "hoodie", "blazer", "turtleneck", "stripes", "dots")
# windows of the skin palette, broad on purpose: a word moves the choice, it does not make it
SKIN_WINDOWS = {
    "black|african|afro|nigerian|ghanaian|kenyan|ethiopian|caribbean": (6, 10),
    "south asian|indian|pakistani|bangladeshi|sri lankan|tamil": (4, 8),
    "middle east|arab|persian|turkish|north afric|berber|lebanese": (3, 6),
    "latin|hispanic|mexican|brazilian|colombian|indigenous|native|polynesian|filipin": (3, 7),
    "asian|chinese|japanese|korean|vietnamese|thai": (1, 5),
    "white|caucasian|european|nordic|scandinavian|irish|slavic": (0, 3),
}
BODY_WORDS = {
    "slim|slender|petite|lean|thin|skinny": 0.91,
    "athlet|muscul|fit|strong|toned": 1.09,
    "curv|full|plus|large|heavy|big|stocky|broad": 1.15,
}
FRONT_WORDS = {
    "bald|shaved|hairless": "none",
    "buzz|crew cut|cropped": "buzz",
    "fade|undercut|taper|flat top": "fade",
    "curtain|middle part|cent[er]{2} part": "curtain",
    "bang|fringe": "bangs",
    "bun|pony|top ?knot|slick|pulled|updo|braid|plait|corn|chignon|locs|dread": "pulled",
    "afro|curl|coil|kink": "curls",
    "wav|tousl|messy|shag": "waves",
    "side|swept|bob|lob|pixie": "swept",
    "short|quiff|pomp|crop": "crop",
    "long|straight|layer|shoulder|medium": "curtain",
}
BACK_WORDS = {
    "bald|shaved|hairless|buzz|crew cut|fade|undercut|taper|pixie|quiff|pomp|crop": "none",
    "bun|top ?knot|updo|chignon": "bun",
    "pony": "ponytail",
    "braid|plait|corn": "braids",
    "locs|dread": "locs",
    "afro": "afro",
    "bob|lob|chin": "bob",
    "short": "none",
    "curl|coil|kink": "cloud",
    "wav|tousl|shag": "wavy",
    "shoulder|medium|mid": "medium",
    "long|straight|layer|flow|mermaid": "long",
}
HAIRCUTS = {
    "male": ("short", "short fade", "short curly", "short wavy", "short side part", "buzz", "quiff", "medium wavy"),
    "female": ("long", "long wavy", "bob", "curly", "high bun", "ponytail", "bob with bangs", "medium", "braids"),
    "": ("short wavy", "bob", "short curly", "medium", "short side part", "pixie", "top knot", "curly"),
}


def found(text: str, table: Mapping[str, T]) -> T | None:
    """Return the entry of `table` whose word begins a word of `text`; the table's order decides."""
    hits = (value for words, value in table.items() if re.search(rf"\b(?:{words})", text))
    return next(hits, None)


def earliest(text: str, table: Mapping[str, T]) -> T | None:
    """Return the entry of `table` whose word comes first in `text`: "calm and bold" is calm."""
    hits = [(hit.start(), value) for words, value in table.items() if (hit := re.search(rf"\b(?:{words})", text))]
    return min(hits, key=lambda hit: hit[0])[1] if hits else None


def text_of(traits: Traits, name: str) -> str:
    """Return a field in lower case, "" when it is absent or null."""
    return (traits.get(name) or "").lower()


def age_of(text: str) -> int:
    """Return the first number of an age range in years, 30 when it has none."""
    digits = re.search(r"[0-9]{1,3}", text)
    return int(digits[0]) if digits else 30


def skin_place(traits: Traits, dice: Dice) -> int:
    """Return the index in SKINS."""
    low, high = found(text_of(traits, "ethnicity"), SKIN_WINDOWS) or (0, len(SKINS))
    return int(dice.between("skin", low, high))


def own_choice(text: str, options: Sequence[T], dice: Dice) -> T:
    """Return one of the options for an unknown word: the same word always chooses the same."""
    return dice.pick(f"word {text}", options)


def hair_colour(text: str, age: int, skin: int, dice: Dice) -> Colour:
    """Return the colour that `text` names, greyed by age; without text, a natural one."""
    if not text.strip():
        reach = max(2, len(NATURAL_HAIRS) - skin // 2 * 2)
        named = dice.pick("hair", NATURAL_HAIRS[:reach])
    else:
        named = found(text, HAIRS) or own_choice(text, list(HAIRS.values()), dice)
    return greyed(toned(named, text), age, dice)


def toned(colour: Colour, text: str) -> Colour:
    """Return `colour` as "dark" or "light" in `text` would have it."""
    if re.search(r"\b(dark|deep)", text):
        return mix(colour, INK, 0.42)
    return mix(colour, WHITE, 0.25) if re.search(r"\b(light|pale|pastel)", text) else colour


def greyed(colour: Colour, age: int, dice: Dice) -> Colour:
    """Return `colour` with the grey that some people of `age` years have."""
    if age < 45 or not dice.chance("grey", (age - 35) / 40):
        return colour
    return mix(colour, GREY_HAIR, min(0.85, (age - 30) / 45))


def theme_of(traits: Traits, dice: Dice) -> Theme:
    """Return the theme of the vibe, or failing that of the style, or one of the seed's choice."""
    vibe, style = text_of(traits, "vibe"), text_of(traits, "style")
    text = vibe if vibe.strip() else style
    return THEMES[earliest(text, THEME_WORDS) or own_choice(text, list(THEMES), dice)]


def garment_of(text: str, dice: Dice) -> str:
    """Return the garment that a style suggests."""
    options = earliest(text, GARMENT_WORDS)
    return dice.pick("garment", options) if options else own_choice(text, GARMENTS, dice)


def haircut_of(traits: Traits, dice: Dice) -> tuple[str, str]:
    """Return the hair (behind, in front of) the head."""
    usual = HAIRCUTS.get(text_of(traits, "gender"), HAIRCUTS[""])
    text = text_of(traits, "hairStyle")
    front = found(text, FRONT_WORDS)
    if front is None:
        text = own_choice(text, usual, dice)
        front = found(text, FRONT_WORDS) or "swept"
    back = found(text, BACK_WORDS) or ("none" if text_of(traits, "gender") == "male" else "medium")
    # the waves of short hair look like a wig on top of long hair
    return back, "swept" if (back, front) == ("wavy", "waves") else front


def look_of(seed: str, traits: Traits) -> Look:
    """Return the look of the influencer whose id is `seed`."""
    dice = Dice(seed)
    gender, age = text_of(traits, "gender"), age_of(text_of(traits, "ageRange"))
    skin = skin_place(traits, dice)
    theme = theme_of(traits, dice)
    cloth = own_choice(text_of(traits, "style"), theme.cloths, dice)
    back, front = haircut_of(traits, dice)
    soft = gender == "female" or (gender != "male" and dice.chance("soft", 0.5))
    return Look(
        skin=SKINS[skin],
        hair=hair_colour(text_of(traits, "hairColor"), age, skin, dice),
        back=back,
        front=front,
        texture=dice.between("texture", 0, 1),
        beard=dice.pick("beard", ("none", "none", "stubble", "short")) if gender == "male" else "none",
        eyes=dice.pick("eyes", EYES if skin < 4 else EYES[:4]),
        lips=mix(mix(dice.pick("lips", LIPS), SKINS[skin], 0.2 if soft else 0.6), INK, 0.12 * (skin > 6)),
        lashes=soft,
        mouth=dice.pick("mouth", ("smile", "grin", "smile", "grin", "smirk")),
        face_width=dice.between("width", 0.96, 1.04),
        jaw=dice.between("jaw", 0.9, 1.0) if soft else dice.between("jaw", 1.02, 1.12),
        brow=dice.between("brow", 4.5, 6) if soft else dice.between("brow", 6.5, 8.5),
        eye_gap=dice.between("gap", 31, 35),
        nose=dice.between("nose", 0.85, 1.2),
        lines=age >= 45,
        freckles=skin < 5 and dice.chance("freckles", 0.22),
        shoulders=(found(text_of(traits, "bodyType"), BODY_WORDS) or 1.0) * (0.93 if soft else 1.05),
        garment=garment_of(text_of(traits, "style"), dice),
        cloth=cloth,
        under=dice.pick("under", [other for other in theme.cloths if other != cloth]),
        pattern=dice.pick("pattern", ("plain", "plain", "pocket")),
        glasses=dice.pick("frame", ("round", "square")) if dice.chance("glasses", 0.14 + 0.3 * (age >= 45)) else "none",
        frames=dice.pick("frames", FRAMES),
        earrings=dice.pick("earring", ("stud", "hoop", "drop") if soft else ("stud",))
        if dice.chance("ears", 0.6 * soft + 0.06)
        else "none",
        metal=dice.pick("metal", METALS),
        theme=theme,
        motif=dice.pick("motif", ("sun", "hills", "arch", "blobs")),
        tilt=dice.between("tilt", -4.5, 4.5),
    )
