"""What can go wrong below the tables. None of these know HTTP."""

from pathlib import Path


class EngineError(Exception):
    """Base of every error an engine raises on purpose; the message is one sentence for a person."""


class Unavailable(EngineError):
    """Writes are refused; nothing of the failed transaction was kept."""


class Unconfirmed(EngineError):
    """It may be done, whole or not at all, but nobody said so: the disk did not confirm it, or the server was lost."""


class Damaged(EngineError):
    """The file does not say what was written to it; `line` counts from 1, `offset` is a byte."""

    kind = "store"
    advice = "`flask store verify` shows more, `flask store repair` cuts the damage out."

    def __init__(self, path: Path, line: int, offset: int, what: str) -> None:
        super().__init__(
            f"The {self.kind} {path} is damaged at line {line}, byte {offset}: {what}. "
            f"Nothing was changed. {self.advice}"
        )
        self.path, self.line, self.offset, self.what = path, line, offset, what


class DamagedSnapshot(Damaged):
    """The same of a saved state."""

    kind = "snapshot"
    advice = "It cannot be restored: save it anew, or forget it."


class NoSnapshot(EngineError):
    """No state is saved under that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no snapshot named {name!r}.")


class NotEmpty(EngineError):
    """A copy would mix with what is there, or would be one of half a store."""


class Different(EngineError):
    """A copy is not what it was made from."""

    def __init__(
        self, table: str, partition: str, here: tuple[int, str], there: tuple[int, str], ids: list[str]
    ) -> None:
        super().__init__(
            f"The copy differs in the documents {', '.join(map(repr, ids))} of table {table!r}, partition "
            f"{partition!r}: {here[0]} documents with checksum {here[1][:12]} to be copied, {there[0]} with "
            f"{there[1][:12]} in the copy. Run the same command again when nobody writes to either."
        )


class Busy(EngineError):
    """Another process does what only one may do at a time."""


class UnknownFormat(EngineError):
    """The file was written by a newer program."""
