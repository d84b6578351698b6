"""Assets, and the uploads that become assets. Source: contract, section 4."""

import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from mimetypes import guess_extension
from typing import Any

from layers_standin.domain.clocks import LATEST_MS
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.ids import canonical, mint
from layers_standin.domain.tables import Tables
from layers_standin.domain.times import epoch_milliseconds, seconds
from layers_standin.engines.table import Record

UPLOAD_WINDOW = timedelta(minutes=15)
UNFINISHED_LIFETIME = timedelta(hours=24)

_UNSAFE_IN_URL = re.compile(r"[^0-9A-Za-z._-]+")


def new_upload(organization: str, project_id: str, body: Mapping[str, Any], now: datetime) -> Record:
    """Return the document of a presigned upload; size and checksum are None unless the client declares them.

    `body` is a validated presign body; `now` begins the UPLOAD_WINDOW.
    """
    return {
        "uploadId": mint("upl"),
        "organizationId": organization,
        "projectId": project_id,
        "assetId": mint("asset"),
        "kind": body["kind"],
        "contentType": body["mimeType"],
        "filename": body.get("filename"),
        "sizeBytes": body.get("sizeBytes"),
        "checksumSha256": _lower(body.get("checksumSha256")),
        "received": None,
        "finalized": False,
        "createdMs": epoch_milliseconds(now),
    }


def mismatched_fields(upload: Mapping[str, Any], checksum: str | None) -> Record | None:
    """Return {field: {"expected", "received"}} of each declared field that differs from the received bytes, or None.

    `checksum` is one declared after the presign, or None. `contentType` is compared only for bytes sent to the bucket.
    """
    found = {}
    for field, expected in (
        ("contentType", upload["contentType"]),
        ("sizeBytes", upload["sizeBytes"]),
        ("checksumSha256", _lower(checksum) or upload["checksumSha256"]),
    ):
        received = upload["received"].get(field, expected)
        if expected is not None and expected != received:
            found[field] = {"expected": expected, "received": received}
    return found or None


def asset_of(upload: Mapping[str, Any], now: datetime) -> Record:
    """Return the asset of an upload whose bytes were received."""
    copied = ("organizationId", "projectId", "assetId", "kind", "contentType", "filename")
    asset: Record = {field: upload["received"][field] for field in ("file", "sizeBytes", "checksumSha256")}
    asset |= {field: upload[field] for field in copied}
    asset |= {"token": secrets.token_urlsafe(16), "createdAt": seconds(now)}
    return asset | media_paths(asset)


def file_of(asset: Mapping[str, Any]) -> str:
    """Return the name of an asset's stored file."""
    return str(asset.get("file", asset["assetId"]))


def media_paths(asset: Mapping[str, Any]) -> Record:
    """Return {"path", "thumbnailPath"} of an asset, both without a host; its token makes them unguessable.

    The name at the end of a path is the name of a download; the service ignores it.
    """
    # Without dots around it: `.` and `..` at the end of a URL are not names but folders.
    safe = _UNSAFE_IN_URL.sub("-", asset["filename"] or "").strip(".") or _unnamed(asset["contentType"])
    stem, _, ending = safe.rpartition(".")
    folder = f"/media/{asset['organizationId']}/{asset['assetId']}/{asset['token']}"
    name = f"{stem}.{ending}" if stem else ending
    return {"path": f"{folder}/original/{name}", "thumbnailPath": f"{folder}/thumbnail/{stem or ending}-thumb.webp"}


def _unnamed(content_type: str) -> str:
    """Return a name for a file without one, with the ending of its type."""
    return f"file{guess_extension(content_type) or ''}"


def asset_view(asset: Mapping[str, Any], base_url: str) -> Record:
    """Return an asset with all fields of the contract in its order; `base_url` has no slash at its end."""
    return {
        "mediaId": asset["assetId"],
        "assetId": asset["assetId"],
        "projectId": asset["projectId"],
        "url": base_url + asset["path"],
        "thumbnailUrl": base_url + asset["thumbnailPath"],
        "kind": asset["kind"],
        "contentType": asset["contentType"],
        "mimeType": asset["contentType"],
        "filename": asset["filename"],
        "sizeBytes": asset["sizeBytes"],
        "checksumSha256": asset["checksumSha256"],
        "createdAt": asset["createdAt"],
    }


def _lower(checksum: str | None) -> str | None:
    return None if checksum is None else checksum.lower()


class Assets:
    """The assets and uploads of an organization: documents, without their bytes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._assets = tables.table("assets")
        self._uploads = tables.table("uploads")

    def get(self, asset_id: str) -> Record:
        """Return an asset's document. Raises NotFound."""
        document = self._assets.get(doc_id=asset_id)
        if document is None:
            raise NotFound("Not found.")
        return document

    def has_file(self, file: str) -> bool:
        """Whether an asset has the stored file `file`: `<asset id>`, or `<asset id>-<mark of the upload>`."""
        owners = (self._assets.get(doc_id=name) for name in (file, file.rpartition("-")[0]))
        return any(asset is not None and file_of(asset) == file for asset in owners)

    def of_project(self, project_id: str, asset_ids: list[str]) -> list[Record]:
        """Return the assets among `asset_ids` that belong to the project, read in one trip."""
        found = self._tables.all("assets", map(canonical, asset_ids))
        return [asset for asset in found if asset["projectId"] == project_id]

    def presign(self, project_id: str, body: Mapping[str, Any]) -> Record:
        """Create a presigned upload."""
        upload = new_upload(self._tables.organization, project_id, body, self._tables.now())
        self._uploads.insert(upload)
        return upload

    def delete_unfinished(self, limit: int = 2) -> list[Record]:
        """Delete up to `limit` unfinished uploads after UNFINISHED_LIFETIME; return them: their bytes must go."""
        return self._tables.db.run_transaction(partial(self._delete_unfinished, limit))

    def _delete_unfinished(self, limit: int) -> list[Record]:
        with self._tables.db.transaction():
            ids = self._tables.oldest("uploads", self._oldest_unfinished_ms(), limit=limit)
            uploads = list(self._tables.all("uploads", ids))
            self._uploads.remove(doc_ids=ids)
            return uploads

    def unfinished(self) -> Iterator[Record]:
        """Yield the uploads that have no asset yet."""
        return self._tables.all("uploads", self._tables.oldest("uploads", LATEST_MS, limit=sys.maxsize))

    def files(self) -> set[str]:
        """Return the names of the stored files of all assets, and of the uploads that have no asset yet."""
        assets = self._tables.all("assets", self._tables.db.ids("assets", self._tables.organization))
        waiting = (upload["received"]["file"] for upload in self.unfinished() if upload["received"])
        return {file_of(asset) for asset in assets} | set(waiting)

    def upload(self, upload_id: str) -> Record:
        """Return an upload, unless it is unfinished and older than UNFINISHED_LIFETIME. Raises NotFound."""
        upload = self._uploads.get(doc_id=upload_id)
        if upload is None or (not upload["finalized"] and upload["createdMs"] <= self._oldest_unfinished_ms()):
            raise NotFound("Upload not found.")
        return upload

    def open_upload(self, upload_id: str) -> Record:
        """Return an upload that is not finalized. Raises NotFound, Conflict."""
        upload = self.upload(upload_id)
        if upload["finalized"]:
            raise Conflict("Upload is already finalized.", subcode="UPLOAD_FINALIZED", uploadId=upload["uploadId"])
        return upload

    def upload_of_project(self, project_id: str, upload_id: str) -> Record:
        """Return an upload of that project. Raises NotFound."""
        upload = self.upload(upload_id)
        if upload["projectId"] != project_id:
            raise NotFound("Upload not found.")
        return upload

    def receive(self, upload_id: str, received: Record) -> Record | None:
        """Record the received bytes of an upload: {"file", "sizeBytes", "checksumSha256"}.

        Return the previous ones, which no document references any more, or None. Raises NotFound, Conflict.
        """
        return self._tables.db.run_transaction(partial(self._receive, upload_id, received))

    def _receive(self, upload_id: str, received: Record) -> Record | None:
        with self._tables.db.transaction():
            upload = self.open_upload(upload_id)
            self._uploads.upsert(upload | {"received": received})
            before: Record | None = upload["received"]
            return before

    def finalize(self, upload: Record) -> Record:
        """Return the asset of an upload whose bytes were inspected, created at the first call."""
        with self._tables.db.transaction():
            asset: Record | None = self._assets.get(doc_id=upload["assetId"])
            if asset is None:
                asset = asset_of(upload, self._tables.now())
                self._uploads.upsert(upload | {"finalized": True})
                self._assets.insert(asset)
            return asset

    def _oldest_unfinished_ms(self) -> int:
        return epoch_milliseconds(self._tables.now() - UNFINISHED_LIFETIME)


def verify_received(upload: Mapping[str, Any], checksum: str | None) -> None:
    """Raises Conflict unless an upload's bytes were received and are as declared."""
    if upload["received"] is None:
        raise Conflict("The upload has not arrived.", subcode="UPLOAD_MISSING", uploadId=upload["uploadId"])
    if mismatched := mismatched_fields(upload, checksum):
        raise Conflict("The upload is not as declared.", subcode="UPLOAD_MISMATCH", **mismatched)
