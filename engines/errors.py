"""The errors of engines. None of them knows HTTP."""

from pathlib import Path


class EngineError(Exception):
    """Base of every error an engine raises on purpose; the message is one sentence for a person."""


class Unavailable(EngineError):
    """Writes are refused; nothing of the failed transaction was kept."""


class Unconfirmed(EngineError):
    """It may be done, whole or not at all, but nobody said so: the disk did not confirm it, or the server was lost."""


class Damaged(EngineError):
    """A file of the store does not hold what was written to it; `what` is the evidence."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"The store's file {path} is damaged: {what}. Nothing was changed. Put a copy of the whole data folder in "
            "its place, or set STANDIN_DATA to a new folder; `flask store verify` lists every fault."
        )
        self.path, self.what = path, what


class Misplaced(EngineError):
    """The folder does not hold the store it should: its database is missing, another's, or of the old kind."""


class NoSnapshot(EngineError):
    """No state is saved under that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no snapshot named {name!r}.")


class NotEmpty(EngineError):
    """The target of a copy has other documents, or the source is an unfinished copy itself."""


class Different(EngineError):
    """A copy has not the documents of its source."""

    def __init__(
        self, table: str, partition: str, here: tuple[int, str], there: tuple[int, str], ids: list[str]
    ) -> None:
        super().__init__(
            f"The copy differs in the documents {', '.join(map(repr, ids))} of table {table!r}, partition "
            f"{partition!r}: {here[0]} documents with checksum {here[1][:12]} to be copied, {there[0]} with "
            f"{there[1][:12]} in the copy. Run the same command again when nobody writes to either."
        )


class UnknownFormat(EngineError):
    """The store was written by a newer program, or by one too old."""
