"""The files of assets, in a folder: `<root>/<organization>/<name>`, thumbnails beside them.

The name of a file is its asset's id; an uploaded one has a mark of the upload behind it.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from uuid import uuid4

from layers_standin.engines.disk import Disk
from layers_standin.engines.durable import UNFINISHED, DurableFiles
from layers_standin.engines.snapshots import check_name
from layers_standin.media.incoming import Measured, new_file
from layers_standin.media.storage import NAME, PORTRAIT, THUMBNAIL, Incomplete, NoSuchFile, StoredFile, portraits_of
from layers_standin.media.turns import DRAWING_PORTRAIT, DRAWING_THUMBNAIL, one_at_a_time
from layers_standin.settings import MAX_PICTURE_PIXELS

_KEPT = ".media"
_LIST = "files.json"


class FolderStorage:
    """Files in a folder; a name there always stands for a whole file.

    The files of a snapshot are beside the folder, in `snapshots/<id>.media`: hard links to the same bytes where the
    disk has them, and a list of them all.
    """

    direct = None

    def __init__(self, root: Path, disk: Disk | None = None, max_pixels: int = MAX_PICTURE_PIXELS) -> None:
        self._root, self._max_pixels = root, max_pixels
        self._files = DurableFiles(disk or Disk())

    def put(self, organization: str, asset_id: str, data: bytes) -> None:
        """A file with these bytes is not written again."""
        path = self._place(organization, asset_id)
        if _is_rejuvenated(path, data):
            self._files.confirm([path])  # the process that wrote it may have died before that
        else:
            self._files.write(path, [data])

    def receive(self, organization: str, asset_id: str, chunks: Iterable[bytes | memoryview]) -> StoredFile:
        file, measured = new_file(asset_id), Measured(chunks)
        self._files.write(self._place(organization, file), measured)
        return measured.received(file)

    def original(self, organization: str, file: str) -> Path:
        path = self._place(organization, file)
        if not _is_file(path):
            raise NoSuchFile(file)
        return path

    def snapshot_file(self, snapshot: str, organization: str, file: str) -> Path:
        return self._kept(snapshot) / self._place(organization, file).relative_to(self._root)

    def thumbnail(self, organization: str, file: str) -> Path:
        path = self._place(organization, file, THUMBNAIL)
        if _is_file(path):
            return path
        original = self.original(organization, file)
        from layers_standin.media.thumbnails import draw_thumbnail  # noqa: PLC0415 - Pillow slows every start

        with one_at_a_time(DRAWING_THUMBNAIL):
            if not _is_file(path):
                self._files.write(path, [draw_thumbnail(original, self._max_pixels)])
        return path

    def portrait(self, organization: str, influencer_id: str, mark: str, draw: Callable[[], bytes]) -> Path:
        portraits = portraits_of(influencer_id)
        path = self._place(organization, portraits + mark)
        if _is_file(path):
            return path
        with one_at_a_time(DRAWING_PORTRAIT):
            if not _is_file(path):
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
        limit = (time.time() if now is None else now) - older_than_seconds
        found = sorted(_found_in(self._root))
        removed = [path for path in found if not self._is_known(path, is_known) and _is_removed(path, limit)]
        for folder in self._root.glob("*"):
            with suppress(OSError):  # it is not empty, or was just touched
                if folder.stat().st_mtime < limit:
                    folder.rmdir()
        return removed

    def drop_organization(self, organization: str) -> None:
        folder = self._folder(organization)
        removed = folder.with_name(f"{organization}.{uuid4().hex}{UNFINISHED}")
        with suppress(FileNotFoundError):
            folder.rename(removed)  # or an upload under way would put its bytes into the folder while it is removed
            shutil.rmtree(removed)

    # Snapshots

    def create_snapshot(self, snapshot_id: str) -> None:
        snapshot_folder, sizes = self._kept(snapshot_id), {}
        for path in _originals(self._root):
            target = snapshot_folder / path.parent.name / path.name
            with suppress(FileNotFoundError):  # discarded meanwhile
                self._files.link(path, target)
                sizes[f"{path.parent.name}/{path.name}"] = target.stat().st_size
        self._files.confirm(snapshot_folder / name for name in sizes)
        self._files.write(snapshot_folder / _LIST, [json.dumps(sizes).encode()])

    def restore_snapshot(self, snapshot_id: str) -> None:
        """Sets the time of the files to now, so that no sweep removes them as orphans."""
        snapshot_folder = self._kept(snapshot_id)
        sizes = self._sizes(snapshot_folder)
        for name in sizes:
            os.utime(snapshot_folder / name)  # the time of all links to the file
            if not _is_touched(self._root / name):
                self._files.link(snapshot_folder / name, self._root / name)
        self._files.confirm(self._root / name for name in sizes)

    def delete_other_snapshots(self, snapshot_ids: Collection[str]) -> None:
        for folder in self._snapshots.glob(f"*{_KEPT}"):
            if folder.name.removesuffix(_KEPT) not in snapshot_ids:
                shutil.rmtree(folder)

    @property
    def _snapshots(self) -> Path:
        return self._root.parent / "snapshots"

    def _kept(self, snapshot_id: str) -> Path:
        check_name(snapshot_id)
        return self._snapshots / (snapshot_id + _KEPT)

    def _sizes(self, snapshot_folder: Path) -> dict[str, int]:
        """Return the sizes of a snapshot's files by `organization/name`. Raises Incomplete."""
        try:
            sizes: dict[str, int] = json.loads((snapshot_folder / _LIST).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise Incomplete(snapshot_folder, []) from None
        if missing := [name for name, size in sizes.items() if _size_of(snapshot_folder / name) != size]:
            raise Incomplete(snapshot_folder, missing)
        return sizes

    # The folder

    def _is_known(self, path: Path, is_known: Callable[[str, str], bool]) -> bool:
        if path.name.endswith(UNFINISHED):
            return False
        return is_known(path.parent.name, path.name.removesuffix(THUMBNAIL))

    def _place(self, organization: str, file: str, ending: str = "") -> Path:
        if not NAME.fullmatch(file):
            raise NoSuchFile(file)
        return self._folder(organization) / (file + ending)

    def _folder(self, organization: str) -> Path:
        if not NAME.fullmatch(organization):
            raise NoSuchFile(organization)
        return self._root / organization


def _found_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*/*") if path.is_file())


def _originals(folder: Path) -> Iterator[Path]:
    """Return the files that cannot be drawn again."""
    return (path for path in _found_in(folder) if NAME.fullmatch(path.name) and not path.name.startswith(PORTRAIT))


def _is_file(path: Path) -> bool:
    """Whether there is such a file. Raises OSError if the disk does not tell, which `Path.is_file` takes for a no."""
    try:
        return S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_removed(path: Path, limit: float) -> bool:
    """Remove a file older than `limit`; its time is read last, because it may just have been touched."""
    with suppress(FileNotFoundError):
        if path.stat().st_mtime < limit:
            path.unlink()
            return True
    return False


def _is_rejuvenated(path: Path, data: bytes) -> bool:
    """Whether a file holds these bytes; if so, touch it, or a sweep could still take it for an orphan."""
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
