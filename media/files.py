"""The bytes of assets, in a folder: `<root>/<organization>/<file>`, thumbnails made once beside them.

A file is named by its asset's id, and what was uploaded also by what tells one upload from the next.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from engines.disk import Disk
from engines.durable import UNFINISHED, DurableFiles
from engines.saved import check_name
from media.arrivals import Measured, new_file
from media.room import NAME, PORTRAIT, THUMBNAIL, Incomplete, NoSuchFile, Received, portraits_of
from media.thumbnails import draw_thumbnail

_KEPT = ".media"
_LIST = "files.json"


class MediaFolder:
    """A name here always stands for whole bytes.

    Ids become names here, and only ids of letters, digits, `_` and `-` can. What a snapshot keeps lies beside the
    folder, in `snapshots/<id>.media`, as further names of the same bytes where the disk can, with a list of them all.
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

    def portrait(self, organization: str, influencer_id: str, mark: str, draw: Callable[[], bytes]) -> Path:
        """Return the file of a portrait, drawn at the first call; its mark tells all that shows in it.

        Of each influencer the one that was drawn last is there, and no other.
        """
        portraits = portraits_of(influencer_id)
        path = self._place(organization, portraits + mark)
        if not path.is_file():
            self._files.write(path, [draw()])
            for other in path.parent.glob(f"{portraits}*"):
                if other != path and other.name.removeprefix(portraits).isalnum():
                    other.unlink(missing_ok=True)
        return path

    def discard(self, organization: str, file: str) -> None:
        path = self._place(organization, file)
        for each in (path, path.with_name(path.name + THUMBNAIL)):
            with suppress(OSError):
                each.unlink(missing_ok=True)

    def sweep(
        self, is_known: Callable[[str, str], bool], older_than_seconds: float, now: float | None = None
    ) -> list[Path]:
        """Remove files that no document knows, unless they are younger; return what was removed.

        `now` is in seconds since 1970, and that of this machine if it is not given.
        """
        limit = (time.time() if now is None else now) - older_than_seconds
        found = sorted(_found_in(self._root))
        removed = [path for path in found if not self._is_known(path, is_known) and _is_removed(path, limit)]
        for folder in self._root.glob("*"):
            with suppress(OSError):  # it is not empty, or somebody has just come back to it
                if folder.stat().st_mtime < limit:
                    folder.rmdir()
        return removed

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

    def keep(self, snapshot_id: str) -> None:
        """Raises OSError."""
        kept, sizes = self._kept(snapshot_id), {}
        for path in _originals(self._root):
            place = kept / path.parent.name / path.name
            with suppress(FileNotFoundError):  # discarded meanwhile
                self._files.link(path, place)
                sizes[f"{path.parent.name}/{path.name}"] = place.stat().st_size
        self._files.confirm(kept / name for name in sizes)
        self._files.write(kept / _LIST, [json.dumps(sizes).encode()])

    def bring_back(self, snapshot_id: str) -> None:
        """Raises OSError, Incomplete. No sweep takes what is here from now on for a day-old orphan."""
        kept = self._kept(snapshot_id)
        sizes = self._sizes(kept)
        for name in sizes:
            os.utime(kept / name)  # which is the other name's time too
            if not _is_touched(self._root / name):
                self._files.link(kept / name, self._root / name)
        self._files.confirm(self._root / name for name in sizes)

    def forget_others(self, snapshot_ids: Collection[str]) -> None:
        """Raises OSError."""
        for folder in self._snapshots.glob(f"*{_KEPT}"):
            if folder.name.removesuffix(_KEPT) not in snapshot_ids:
                shutil.rmtree(folder)

    @property
    def _snapshots(self) -> Path:
        return self._root.parent / "snapshots"

    def _kept(self, snapshot_id: str) -> Path:
        check_name(snapshot_id)
        return self._snapshots / (snapshot_id + _KEPT)

    def _sizes(self, kept: Path) -> dict[str, int]:
        """Return the sizes of what a snapshot keeps by `organization/file`. Raises Incomplete."""
        try:
            sizes: dict[str, int] = json.loads((kept / _LIST).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise Incomplete(kept, []) from None
        if missing := [name for name, size in sizes.items() if _size_of(kept / name) != size]:
            raise Incomplete(kept, missing)
        return sizes

    # The folder

    def _is_known(self, path: Path, is_known: Callable[[str, str], bool]) -> bool:
        if path.name.endswith(UNFINISHED):
            return False
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


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


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
