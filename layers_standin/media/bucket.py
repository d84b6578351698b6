"""The files of assets on an S3-compatible store: `<prefix>/<organization>/<name>`, thumbnails beside them.

A client sends its bytes straight to the store, to a key that ends in `.incoming`, by a signed URL that is valid for a
while. As it could send others later, the bytes are copied, before they are read, to a key that no client can write to.
A key never gets other bytes, so the media of a snapshot are a list of keys.
"""

import io
import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache, partial
from itertools import chain, takewhile
from typing import Any, BinaryIO, NamedTuple, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from layers_standin.engines.errors import Unavailable
from layers_standin.engines.snapshots import SNAPSHOT_NAME, check_name
from layers_standin.media.incoming import Measured, new_file
from layers_standin.media.storage import (
    INCOMING,
    NAME,
    PORTRAIT,
    THUMBNAIL,
    IncomingObject,
    Incomplete,
    NoSuchFile,
    StoredFile,
    StoredObject,
    portraits_of,
)
from layers_standin.media.thumbnails import draw_thumbnail
from layers_standin.media.turns import DRAWING_PORTRAIT, DRAWING_THUMBNAIL, one_at_a_time
from layers_standin.settings import MAX_PICTURE_PIXELS, Bucket

_CLIENT: dict[str, Any] = {"allow_http": True, "connect_timeout": "2s", "timeout": "8s"}
_RETRIES: dict[str, Any] = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(milliseconds=500), "base": 2},
}
_PART_BYTES = 5 << 20  # the least that S3 takes as a part of a larger upload
_READ_BYTES = 4 << 20
_KEPT = re.compile(rf"\.kept/{SNAPSHOT_NAME.pattern}\.json")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_ASKED_FOR_KEYS = "/latest/"  # of the machine's own cloud, the last place where the client looks for them


class Object(NamedTuple):
    """An object under our prefix: the parts of its key, the time it was written, its size."""

    organization: str
    name: str
    written: float
    size: int

    @property
    def key(self) -> str:
        return f"{self.organization}/{self.name}"


class BucketStorage:
    """Files in a bucket; a key stands for a whole object, because the store shows none before.

    A sweep removes every object under the prefix that belongs to no document, so the prefix must be the stand-in's own.
    """

    def __init__(self, bucket: Bucket, max_pixels: int = MAX_PICTURE_PIXELS) -> None:
        self._name, self._max_pixels = str(bucket), max_pixels
        given = {"endpoint": bucket.endpoint, "region": bucket.region}
        self._store = S3Store(
            bucket.name,
            prefix=bucket.prefix,
            client_options=cast(Any, _CLIENT),
            retry_config=cast(Any, _RETRIES),
            **cast(Any, {name: text for name, text in given.items() if text is not None}),
        )
        self.direct = DirectToBucket(self)

    def put(self, organization: str, asset_id: str, data: bytes) -> None:
        self.write(_key(organization, asset_id), data)

    def receive(self, organization: str, asset_id: str, chunks: Iterable[bytes | memoryview]) -> StoredFile:
        file, measured = new_file(asset_id), Measured(chunks)
        parts = _parts(measured)
        first, second = next(parts, b""), next(parts, None)
        self.write(_key(organization, file), first if second is None else chain([first, second], parts))
        return measured.received(file)

    def original(self, organization: str, file: str) -> StoredObject:
        return self.find(_key(organization, file))

    def snapshot_file(self, snapshot: str, organization: str, file: str) -> StoredObject:
        return self.original(organization, file)

    def thumbnail(self, organization: str, file: str) -> StoredObject:
        key = _key(organization, file)
        thumbnail = key + THUMBNAIL
        with suppress(NoSuchFile):
            return self.find(thumbnail)
        with one_at_a_time(DRAWING_THUMBNAIL):
            if not self._has(thumbnail):
                self.write(thumbnail, draw_thumbnail(self.find(key), self._max_pixels))
        return self.find(thumbnail)

    def portrait(self, organization: str, influencer_id: str, mark: str, draw: Callable[[], bytes]) -> StoredObject:
        portraits = portraits_of(influencer_id)
        key = _key(organization, portraits + mark)
        with suppress(NoSuchFile):
            return self.find(key)
        with one_at_a_time(DRAWING_PORTRAIT):
            if not self._has(key):
                self.write(key, draw())
                self.delete(self._others(organization, portraits, key))
        return self.find(key)

    def _others(self, organization: str, portraits: str, key: str) -> list[str]:
        """Return the keys of an influencer's other portraits."""
        found = takewhile(
            lambda each: each.name.startswith(portraits), self._objects(organization, f"{organization}/{portraits}")
        )
        return [each.key for each in found if each.key != key and each.name.removeprefix(portraits).isalnum()]

    def sweep(
        self, is_known: Callable[[str, str], bool], older_than_seconds: float, now: float | None = None
    ) -> list[str]:
        limit = (time.time() if now is None else now) - older_than_seconds
        old = sorted(found for found in self._objects() if found.written < limit)
        orphans = [found.key for found in old if not _is_known(found, is_known)]
        return self._remove(orphans)

    def drop_organization(self, organization: str) -> None:
        self._remove([found.key for found in self._objects(_name(organization))])

    def discard(self, organization: str, file: str) -> None:
        key = _key(organization, file)
        with suppress(Unavailable):
            self._remove([key, key + THUMBNAIL])

    # Snapshots

    def create_snapshot(self, snapshot_id: str) -> None:
        """Writes a list of all keys, and again without the objects that were removed before it was visible."""
        sizes = self._sizes()
        self.write(_kept(snapshot_id), json.dumps(sizes).encode())
        there = self._sizes()
        if removed := sizes.keys() - there.keys():
            left = {key: size for key, size in sizes.items() if key not in removed}
            self.write(_kept(snapshot_id), json.dumps(left).encode())

    def restore_snapshot(self, snapshot_id: str) -> None:
        """Only checks: a listed object is never removed."""
        key = _kept(snapshot_id)
        try:
            sizes: dict[str, int] = json.loads(self._whole(key))
        except (NoSuchFile, ValueError):
            raise Incomplete(f"{self._name}/{key}", []) from None
        there = self._sizes() if sizes else {}
        if missing := [name for name, size in sizes.items() if there.get(name) != size]:
            raise Incomplete(f"{self._name}/{key}", missing)

    def delete_other_snapshots(self, snapshot_ids: Collection[str]) -> None:
        known = {_kept(snapshot_id) for snapshot_id in snapshot_ids}
        self.delete([key for key in self._lists() if key not in known])

    def _sizes(self) -> dict[str, int]:
        return {found.key: found.size for found in self._objects() if _is_original(found.name)}

    def _lists(self) -> list[str]:
        """Return the keys of the snapshots' lists."""
        with self._serving():
            found = [each["path"] for each in obstore.list(self._store, ".kept").collect()]
        return [path for path in found if _KEPT.fullmatch(path)]

    def _all_kept(self) -> set[str]:
        return {key for path in self._lists() for key in json.loads(self._whole(path))}

    def _whole(self, key: str) -> bytes:
        with self.find(key).open("rb") as file:
            return file.read()

    def _remove(self, keys: Sequence[str]) -> list[str]:
        """Remove the objects that no snapshot lists, and their thumbnails; return the removed keys."""
        kept = self._all_kept() if keys else set()
        removable = [key for key in keys if key.removesuffix(THUMBNAIL) not in kept]
        self.delete(removable)
        return removable

    # The bucket

    def find(self, key: str) -> StoredObject:
        """Return an object by its key. Raises NoSuchFile."""
        with self._serving(key):
            meta = obstore.head(self._store, key)
        etag = (meta["e_tag"] or "").removeprefix("W/").strip('"')
        return StoredObject(meta["size"], etag, meta["last_modified"], partial(self._open, key, meta["size"]))

    def _has(self, key: str) -> bool:
        try:
            self.find(key)
        except NoSuchFile:
            return False
        return True

    def arrival(self, key: str) -> IncomingObject:
        """Return an object's size and declared type. Raises NoSuchFile."""
        with self._serving(key):
            head = obstore.get(self._store, key, options={"head": True})
            return IncomingObject(head.meta["size"], head.attributes.get("Content-Type", ""))

    def write(self, key: str, data: bytes | Iterator[bytes]) -> None:
        with self._serving():
            obstore.put(self._store, key, data, chunk_size=_PART_BYTES, max_concurrency=2)

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store. Raises NoSuchFile."""
        with self._serving(source):
            obstore.copy(self._store, source, target)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; a missing one is no error."""
        with self._serving():
            if keys:
                obstore.delete(self._store, list(keys))

    def sign(self, key: str, window: timedelta) -> str:
        """Return a URL that allows a PUT of that key for `window`, without credentials."""
        with self._serving():
            return str(obstore.sign(self._store, "PUT", key, window))

    def _objects(self, organization: str | None = None, after: str | None = None) -> Iterator[Object]:
        """Yield the objects under the prefix whose keys have our form, in order, those behind the key `after`."""
        with self._serving():
            for some in obstore.list(self._store, organization, offset=after, chunk_size=1000):
                for meta in some:
                    of, _, name = meta["path"].partition("/")
                    if NAME.fullmatch(of) and NAME.fullmatch(name.removesuffix(THUMBNAIL).removesuffix(INCOMING)):
                        yield Object(of, name, meta["last_modified"].timestamp(), meta["size"])

    def _open(self, key: str, size: int, buffering: int) -> BinaryIO:
        return io.BufferedReader(_Reader(partial(self._part, key), size), buffering)

    def _part(self, key: str, start: int, end: int) -> bytes:
        with self._serving(key):
            return bytes(obstore.get_range(self._store, key, start=start, end=end))

    @contextmanager
    def _serving(self, key: str | None = None) -> Iterator[None]:
        """Map errors by their kind: the client's own texts quote requests and their signatures.

        A missing object is NoSuchFile with `key`; without (a write) it means a missing bucket.
        """
        if _first_process() != os.getpid():
            raise RuntimeError("the client has threads that did not survive a fork: it would wait for ever")
        try:
            yield
        except FileNotFoundError as error:
            raise (self._unavailable(error) if key is None else NoSuchFile(key)) from None
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> Unavailable:
        code = _CODE.search(str(error))
        if code is None and _ASKED_FOR_KEYS in str(error):
            return Unavailable(
                f"The bucket {self._name} of STANDIN_MEDIA cannot be asked: "
                "there is no AWS_ACCESS_KEY_ID with an AWS_SECRET_ACCESS_KEY."
            )
        reason = code[1] if code else type(error).__name__
        return Unavailable(f"The bucket {self._name} of STANDIN_MEDIA does not serve: {reason}.")


def open_bucket(bucket: Bucket, max_pixels: int) -> BucketStorage:
    """Raises Unavailable when the client does not accept these settings, or the AWS variables."""
    try:
        return BucketStorage(bucket, max_pixels)
    except (BaseError, ValueError) as error:
        raise Unavailable(f"The bucket {bucket} of STANDIN_MEDIA cannot be used: {type(error).__name__}.") from None


class DirectToBucket:
    """Uploads that clients send straight to the bucket."""

    def __init__(self, bucket: BucketStorage) -> None:
        self._bucket = bucket

    def url(self, organization: str, asset_id: str, window: timedelta) -> str:
        return self._bucket.sign(_incoming(organization, asset_id), window)

    def arrival(self, organization: str, asset_id: str) -> IncomingObject | None:
        with suppress(NoSuchFile):
            return self._bucket.arrival(_incoming(organization, asset_id))
        return None

    def take(self, organization: str, asset_id: str) -> StoredFile | None:
        file = new_file(asset_id)
        try:
            self._bucket.copy(_incoming(organization, asset_id), _key(organization, file))
        except NoSuchFile:
            return None
        try:
            with self._bucket.original(organization, file).open("rb", _READ_BYTES) as copied:
                measured = Measured(iter(partial(copied.read, _READ_BYTES), b""))
                for _ in measured:
                    pass
        except BaseException:
            self._bucket.discard(organization, file)
            raise
        return measured.received(file)

    def clear(self, organization: str, asset_id: str) -> None:
        with suppress(Unavailable):
            self._bucket.delete([_incoming(organization, asset_id)])


class _Reader(io.RawIOBase):
    """An object as a file. Each read is one short request, so a slow reader holds none open."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch, self._size, self._position = fetch, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        piece = self._fetch(self._position, end)
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """Return the rest, _READ_BYTES a request: the inherited method would read 8 kB at a time."""
        block = bytearray(_READ_BYTES)
        return b"".join(bytes(block[:size]) for size in iter(partial(self.readinto, block), 0))


@cache
def _first_process() -> int:
    """Return the id of the process that used the client first; a forked child gets the same."""
    return os.getpid()


def _parts(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Yield the same bytes in parts of at least _PART_BYTES, but the last."""
    part = bytearray()
    for chunk in chunks:
        part += chunk
        if len(part) >= _PART_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def _is_known(found: Object, is_known: Callable[[str, str], bool]) -> bool:
    return is_known(found.organization, found.name.removesuffix(THUMBNAIL))


def _is_original(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and not name.startswith(PORTRAIT)


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise NoSuchFile(text)
    return text


def _key(organization: str, file: str) -> str:
    return f"{_name(organization)}/{_name(file)}"


def _incoming(organization: str, asset_id: str) -> str:
    return _key(organization, asset_id) + INCOMING


def _kept(snapshot_id: str) -> str:
    check_name(snapshot_id)
    return f".kept/{snapshot_id}.json"
