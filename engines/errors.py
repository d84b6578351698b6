"""What can go wrong below the tables. None of these know HTTP."""

from pathlib import Path


class EngineError(Exception):
    """Base of every error an engine raises on purpose; the message is one sentence for a person."""


class Unavailable(EngineError):
    """Writes are refused; nothing of the failed transaction was kept."""


class Damaged(EngineError):
    """The file does not say what was written to it; `line` counts from 1, `offset` is a byte."""

    def __init__(self, path: Path, line: int, offset: int, what: str) -> None:
        super().__init__(
            f"The store {path} is damaged at line {line}, byte {offset}: {what}. "
            "Nothing was changed. `flask store verify` shows more, `flask store repair` cuts the damage out."
        )
        self.path, self.line, self.offset, self.what = path, line, offset, what


class Busy(EngineError):
    """Another process does what only one may do at a time."""


class UnknownFormat(EngineError):
    """The file was written by a newer program."""
