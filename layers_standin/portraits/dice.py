"""Choices that a seed decides, the same in every process and on every Python."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Named throws: each name has its own number, so a new throw changes no old one."""

    def __init__(self, seed: str) -> None:
        self.seed = seed

    def number(self, name: str) -> float:
        """Return a number in [0, 1) for `name`."""
        # surrogatepass: an id or a trait may hold a lone surrogate, and must still have a face
        text = f"{self.seed}\0{name}".encode("utf-8", "surrogatepass")
        return int.from_bytes(sha256(text).digest()[:6]) / 2**48

    def pick(self, name: str, options: Sequence[T]) -> T:
        """Return one of `options`, which must not be empty."""
        return options[int(self.number(name) * len(options))]

    def chance(self, name: str, probability: float) -> bool:
        """Whether an event of this probability (0 to 1) happens."""
        return self.number(name) < probability

    def between(self, name: str, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + self.number(name) * (high - low)
