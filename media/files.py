"""The bytes of assets, in a folder: `<root>/<organization>/<file>`, thumbnails made once beside them.

A file is named by its asset's id, and what was uploaded also by what tells one upload from the next.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from engines.disk import Disk
from engines.saved import check_name
from media.arrivals import Measured, new_file
from media.room import NAME, PORTRAIT, THUMBNAIL, NoSuchFile, Received
from media.thumbnails import draw_thumbnail
from media.writing import UNFINISHED, DurableFiles

_KEPT = ".media"


class MediaFolder:
    """A name here always stands for whole bytes.

    Ids become names here, and only ids of letters, digits, `_` and `-` can. What a snapshot
    keeps lies beside the folder, in `snapshots/<name>.media`, as further names of the same bytes where the disk can.
    """

    direct = None

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._files = DurableFiles(disk or Disk())

    def put(self, organization: str, asset_id: str, data: bytes) -> None:
        """Store an asset's bytes; they are on disk when this returns. Raises OSError.

        Bytes that are there already are not written again.
        """
        path = self._place(organization, asset_id)
        if _is_rejuvenated(path, data):
            self._files.confirm([path])  # whoever wrote them may not have come to that
        else:
            self._files.write(path, [data])

    def receive(self, organization: str, asset_id: str, chunks: Iterable[bytes]) -> Received:
        """Store bytes as they come, in constant memory, under a name nobody else has. Raises OSError.

        What `chunks` raises goes through, and leaves nothing behind.
        """
        file, measured = new_file(asset_id), Measured(chunks)
        self._files.write(self._place(organization, file), measured)
        return measured.received(file)

    def original(self, organization: str, file: str) -> Path:
        """Return where bytes lie. Raises NoSuchFile."""
        path = self._place(organization, file)
        if not path.is_file():
            raise NoSuchFile(file)
        return path

    def kept(self, snapshot: str, organization: str, file: str) -> Path:
        """Return where a snapshot keeps bytes; they may not be there. Raises NoSuchFile, ValueError."""
        return self._kept(snapshot) / self._place(organization, file).relative_to(self._root)

    def thumbnail(self, organization: str, file: str) -> Path:
        """Return where a picture's thumbnail lies, made at the first call. Raises NoSuchFile."""
        original = self.original(organization, file)
        path = original.with_name(original.name + THUMBNAIL)
        if not path.is_file():
            self._files.write(path, [draw_thumbnail(original)])
        return path

    def portrait(self, organization: str, mark: str, draw: Callable[[], bytes]) -> Path:
        """Return the file of a portrait, drawn at the first call; its mark tells all that shows in it."""
        path = self._place(organization, f"{PORTRAIT}{mark}")
        if not path.is_file():
            self._files.write(path, [draw()])
        return path

    def discard(self, organization: str, file: str) -> None:
        """Remove bytes that no document knows any more; what cannot be removed now is left to the next sweep."""
        with suppress(OSError):
            self._place(organization, file).unlink(missing_ok=True)

    def sweep(
        self, is_known: Callable[[str, str], bool], older_than_seconds: float, now: float | None = None
    ) -> list[Path]:
        """Remove files that no document knows, unless they are younger; return what was removed.

        `now` is in seconds since 1970, and that of this machine if it is not given.
        """
        limit = (time.time() if now is None else now) - older_than_seconds
        orphans = (path for path in list(_found_in(self._root)) if not self._is_known(path, is_known))
        return [path for path in orphans if _is_removed(path, limit)]

    def drop_organization(self, organization: str) -> None:
        """Remove the bytes of an organization whose documents are gone; what snapshots keep of it stays.

        Raises OSError, and NoSuchFile when there can be none of that id.
        """
        folder = self._folder(organization)
        gone = folder.with_name(f"{organization}.{uuid4().hex}{UNFINISHED}")
        with suppress(FileNotFoundError):
            folder.rename(gone)  # or an upload that is under way would put its bytes into what is being removed
            shutil.rmtree(gone)

    # What snapshots keep

    def keep(self, name: str) -> None:
        """Keep all bytes there are, but not what is drawn from them, in the place of what was kept under that name.

        Meant for after the documents were saved: bytes come before the document that knows them, so that now none
        can be missing. Raises OSError, ValueError.
        """
        kept = self._kept(name)
        originals = {path.relative_to(self._root): path for path in _originals(self._root)}
        for relative, path in originals.items():
            with suppress(FileNotFoundError):  # swept meanwhile
                self._files.link(path, kept / relative)
        for path in list(_found_in(kept)):
            if path.relative_to(kept) not in originals:
                path.unlink()
        self._files.confirm(kept / relative for relative in originals)

    def bring_back(self, name: str) -> None:
        """Put what is kept back where it is missing; nothing is removed. Raises OSError, ValueError.

        Meant for before the documents are restored. No sweep takes what is here from now on for a day-old orphan.
        """
        kept = self._kept(name)
        places = {path: self._root / path.relative_to(kept) for path in _originals(kept)}
        for path, place in places.items():
            os.utime(path)  # which is the other name's time too
            if not _is_touched(place):
                self._files.link(path, place)
        self._files.confirm(places.values())

    def forget(self, name: str) -> None:
        """Remove what is kept under a name, if anything is. Raises OSError, ValueError."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._kept(name))

    def _kept(self, name: str) -> Path:
        check_name(name)
        return self._root.parent / "snapshots" / (name + _KEPT)

    # The folder

    def _is_known(self, path: Path, is_known: Callable[[str, str], bool]) -> bool:
        if path.name.endswith(UNFINISHED) or path.name.startswith(PORTRAIT):
            return False  # a portrait that is asked for again is drawn again
        return is_known(path.parent.name, path.name.removesuffix(THUMBNAIL))

    def _place(self, organization: str, file: str) -> Path:
        if not NAME.fullmatch(file):
            raise NoSuchFile(file)
        return self._folder(organization) / file

    def _folder(self, organization: str) -> Path:
        if not NAME.fullmatch(organization):
            raise NoSuchFile(organization)
        return self._root / organization


def _found_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*/*") if path.is_file())


def _originals(folder: Path) -> Iterator[Path]:
    """Return the files that nobody can draw again."""
    return (path for path in _found_in(folder) if NAME.fullmatch(path.name) and not path.name.startswith(PORTRAIT))


def _is_removed(path: Path, limit: float) -> bool:
    """Remove a file that is older than a time; it is looked at last, for somebody may just have come back to it."""
    with suppress(FileNotFoundError):
        if path.stat().st_mtime < limit:
            path.unlink()
            return True
    return False


def _is_rejuvenated(path: Path, data: bytes) -> bool:
    """Whether a file holds these bytes; if so it is young again, or a sweep could still take it for an orphan."""
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data and _is_touched(path)
    except OSError:
        return False


def _is_touched(path: Path) -> bool:
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
