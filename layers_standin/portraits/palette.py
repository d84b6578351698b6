"""Colours: skin, hair, and the themes that tie a backdrop to clothes that suit it."""

from dataclasses import dataclass

Colour = tuple[int, int, int]


def hexed(text: str) -> Colour:
    """Return the colour of six hexadecimal digits."""
    return int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)


def hexes(text: str) -> list[Colour]:
    """Return the colours of words of six hexadecimal digits."""
    return [hexed(word) for word in text.split()]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return `one` with `share` (0 to 1) of `other` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def lightness(colour: Colour) -> float:
    """Return how light `colour` looks, 0 to 1."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


INK = hexed("2b2230")
WHITE = hexed("fffaf5")
GREY_HAIR = hexed("b4b3b8")
BLUSH = hexed("e0584f")

# from light to deep; traits choose a window of this order, the seed a place in the window
SKINS = hexes("fbdcc8 f6cfb2 f0c19d e8b088 d99c72 c4845a a96a45 8c5438 71422d 5a3426")

# searched in this order, so that "platinum blonde" is platinum and "strawberry blonde" is strawberry
HAIRS = {
    "platinum": hexed("efe2c4"),
    "strawberry": hexed("d98f62"),
    "dirty": hexed("a88455"),
    "honey": hexed("c1924f"),
    "golden": hexed("dbb05c"),
    "blond": hexed("dfb96c"),
    "silver": hexed("c3c6cd"),
    "gr[ae]y": hexed("a9a9b0"),
    "salt": hexed("8c8a90"),
    "white": hexed("ece8e3"),
    "burgundy": hexed("6d2236"),
    "auburn": hexed("8a3c26"),
    "chestnut": hexed("6e4128"),
    "caramel": hexed("9b673c"),
    "copper": hexed("b9602f"),
    "ginger": hexed("c9682f"),
    "pink": hexed("e48fb1"),
    "rose": hexed("d98a94"),
    "purple": hexed("7a56a8"),
    "violet": hexed("7a56a8"),
    "lavender": hexed("b59bd6"),
    "teal": hexed("2f8c8c"),
    "turquoise": hexed("35a3a0"),
    "blue": hexed("4a72bd"),
    "green": hexed("4c9a70"),
    "orange": hexed("e0782f"),
    "red": hexed("b04328"),
    "brunette": hexed("523426"),
    "brown": hexed("64402c"),
    "raven": hexed("25222c"),
    "jet": hexed("201d25"),
    "black": hexed("29242c"),
}
NATURAL_HAIRS = [HAIRS[name] for name in ("black", "brunette", "brown", "chestnut", "auburn", "honey", "blond")]
EYES = hexes("4a2f22 5c3b26 3d2a24 6b4a2b 5c7a52 4f7796 6d8a94")
LIPS = hexes("c4565a b8485a cf6a62 a9434f")
FRAMES = hexes("2b2630 5b3a2a 7c3a3a 27405c 84652f")
METALS = hexes("e8bd5a d9dbe2 d98e63")


@dataclass(frozen=True)
class Theme:
    """A backdrop from `top` to `bottom` with `shapes` on it, and the `cloths` that go with it."""

    top: Colour
    bottom: Colour
    shapes: tuple[Colour, Colour]
    cloths: tuple[Colour, ...]
    accent: Colour


def theme(top: str, bottom: str, shapes: str, cloths: str, accent: str) -> Theme:
    """Read a theme from hexadecimal digits; `shapes` are two colours, `cloths` any number."""
    one, other = hexes(shapes)
    return Theme(hexed(top), hexed(bottom), (one, other), tuple(hexes(cloths)), hexed(accent))


THEMES = {
    "calm": theme("dfe9e4", "b9cfc6", "f3f1e6 98b8ad", "2f4858 f2ece0 5d7f78 3a5a60", "e2a36f"),
    "cool": theme("dfe6f3", "b4c4e2", "f2f4fb 8ea5d3", "27344f f4f1ec 4e6ba6 d9dfeb", "f0945d"),
    "energy": theme("ffdfc2", "ffb98f", "fff0da ff9a73", "23395b f7f3ec 1f6f78 e4572e", "ffd166"),
    "playful": theme("ffd9dc", "f9aeb9", "ffeccf f58aa0", "3d4fa1 ffd166 f4efe6 23867b", "3d4fa1"),
    "dreamy": theme("e9dff6", "cbb6e6", "fbeaf0 b69cdb", "5f4b8b f6eafc f3c6cf 7d8cc4", "f7c59f"),
    "vintage": theme("f5e4c3", "e6c58f", "fbf2dd d9a662", "2f6665 a8452e f6ead2 6a4a3a", "a8452e"),
    "elegant": theme("e9e0d6", "cdbba8", "f7f1e9 b49c84", "1f3d36 2b2630 f5eee3 7a2e3a", "d9b25f"),
    "urban": theme("d8dbe0", "aeb5bf", "f1c453 8e98a6", "2a2d34 e9e6df 4a5563 d96c3f", "f1c453"),
    "nature": theme("e3eccb", "b7cf96", "f7f4df 93b671", "3f5b3a efe7d0 a5673f 5f7f45", "e9b44c"),
    "tech": theme("d2ecf3", "93cbe0", "ecfaf9 62aecd", "1d3557 f1faee 457b9d 2a2d45", "ef767a"),
    "warm": theme("fae0d1", "e9b89b", "fff1e4 d99470", "7a3b2e f7ece0 3d5a6c c7683f", "f2b35d"),
    "sunny": theme("fff0bd", "ffd977", "fffae3 ffc24d", "2f5d8a f9f5ea e0613f 2c7a6b", "e0613f"),
}
