"""Errors of the engines. None of these know HTTP."""

from pathlib import Path


class EngineError(Exception):
    """Base of every error that an engine raises on purpose; the message is one sentence for a person."""


class Unavailable(EngineError):
    """The store does not serve now; nothing of the failed transaction was written."""


class Unconfirmed(EngineError):
    """The transaction may be committed, whole or not at all: the disk, or the lost server, did not confirm it."""


class Damaged(EngineError):
    """A file of the store does not contain the bytes that were written to it; `evidence` says how that shows."""

    def __init__(self, path: Path, evidence: str) -> None:
        super().__init__(
            f"The store's file {path} is damaged: {evidence}. Nothing was changed. Put a copy of the whole data folder "
            "in its place, or set STANDIN_DATA to a new folder; `layers-stand-in store verify` lists every fault."
        )
        self.path, self.evidence = path, evidence


class Misplaced(EngineError):
    """The folder does not hold the store it should: its database is missing, another's, or of the old kind."""


class NoSnapshot(EngineError):
    """No snapshot has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no snapshot named {name!r}.")


class NotEmpty(EngineError):
    """The target of a copy has documents already, or its source is an unfinished copy."""


class Different(EngineError):
    """A copy differs from its source."""

    def __init__(self, table: str, partition: str, first_ids: list[str], number: int) -> None:
        super().__init__(
            f"The copy differs in the documents {', '.join(map(repr, first_ids))} of table {table!r}, partition "
            f"{partition!r}, {number} in all. Run the same command again when nobody writes to either."
        )


class UnknownFormat(EngineError):
    """The store was written by a newer program, or by one too old."""
