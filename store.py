"""The rules of influencers, as small functions on documents, and the Store that applies them. No HTTP here.

The other nouns (projects, jobs, keys, assets) have their rules in `layers_standin/domain/`, one module each.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property, partial
from operator import itemgetter
from secrets import token_urlsafe
from typing import Any, Self

from layers_standin.domain.announcements import Announcements
from layers_standin.domain.assets import Assets
from layers_standin.domain.brands import spokesperson
from layers_standin.domain.clocks import REAL, time_by
from layers_standin.domain.containers import Containers
from layers_standin.domain.controls import NO_OVERRIDES, Controls, Overrides
from layers_standin.domain.cursors import read_cursor, write_cursor
from layers_standin.domain.deliveries import Deliveries
from layers_standin.domain.due import FIRST_INFLUENCER, due_until, first_influencer, with_due, without_due
from layers_standin.domain.endpoints import Endpoints
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.faults import Faults
from layers_standin.domain.github import GitHub
from layers_standin.domain.history import SYSTEM, Actor, History
from layers_standin.domain.idempotency import Idempotency
from layers_standin.domain.ids import canonical, mint
from layers_standin.domain.influencers import (
    DESCRIPTION_FIELDS,
    influencer_status,
    new_influencer,
    refresh_references,
)
from layers_standin.domain.ingest import KINDS, Ingests
from layers_standin.domain.jobs import Jobs
from layers_standin.domain.keys import Callers, Keys
from layers_standin.domain.organizations import Organizations
from layers_standin.domain.pictures import thumbnail_path
from layers_standin.domain.posts import of_project
from layers_standin.domain.projects import ARCHIVED as PROJECT_ARCHIVED
from layers_standin.domain.projects import Projects
from layers_standin.domain.scheduled_posts import Posts
from layers_standin.domain.schedules import end_ms, new_schedule, state_at
from layers_standin.domain.social import SocialAccounts
from layers_standin.domain.tables import ARCHIVED, OK, WILL_FAIL, Page, Tables, newest_page
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, seconds, utc_now
from layers_standin.engines.table import Engine, Record, Table

INFLUENCER_FIELDS = (
    "influencerId", "projectId", "name", *DESCRIPTION_FIELDS,
    "personality", "referenceImages", "status", "createdAt", "updatedAt",
)  # fmt: skip

_AUDITED_FIELDS = tuple(field for field in INFLUENCER_FIELDS if field != "updatedAt")
_view_values, _audited_values = itemgetter(*INFLUENCER_FIELDS), itemgetter(*_AUDITED_FIELDS)


# Rules: pure functions on documents. None of them alters its arguments.


def merge_personality(current: Mapping[str, Any], patch: Mapping[str, Any]) -> Record:
    """Return `current` with `patch` laid over it.

    Both are {"traits": [str], "tone": str, ...}, any key absent. Shallow: a list replaces the list, a null
    removes its key, keys not sent stay as they are. Source: patch-influencer, Notes.
    """
    merged = dict(current)
    for key, value in patch.items():
        merged.pop(key, None)
        if value is not None:
            merged[key] = value
    return merged


def merge_influencer(current: Mapping[str, Any], patch: Mapping[str, Any], now: datetime) -> Record:
    """Return the influencer after a PATCH: given fields replaced, or cleared by null, and the personality merged."""
    merged = dict(current) | dict(patch) | {"updatedAt": seconds(now)}
    if "personality" in patch:
        merged["personality"] = merge_personality(current["personality"], patch["personality"])
    return merged


def archive_influencer(current: Mapping[str, Any], reason: str | None, key_id: str, now: datetime) -> Record:
    """Return the influencer after a DELETE, archived with key, time and reason. Source: delete-influencer.

    `reason` may be None; `key_id` is the `apiKeyId` of the key that deletes it.
    """
    deletion = {"reason": reason, "apiKeyId": key_id, "deletedAt": seconds(now)}
    attributes = current["attributes"] | {"deletion": deletion}
    return dict(current) | {"is_archived": True, "attributes": attributes, "updatedAt": seconds(now)}


def dedupe_references(current: list[Record], attached: list[Record]) -> list[Record]:
    """Return `current` with `attached` merged in, each asset once.

    Both are [{"assetId", "addedAt", ...}]. An asset that is there keeps its place and takes the new entry;
    the others follow in the order they were attached. Source: reference-images, Notes.
    """
    merged = {canonical(entry["assetId"]): entry for entry in current}
    merged |= {canonical(entry["assetId"]): entry for entry in attached}
    return list(merged.values())


def attach_references(current: Mapping[str, Any], assets: list[Record], now: datetime) -> Record:
    """Return the influencer with these assets among its reference images; unchanged when there are none."""
    if not assets:
        return dict(current)
    attached = [reference_to(asset, now) for asset in assets]
    merged = dedupe_references(current["referenceImages"], attached)
    return dict(current) | {"referenceImages": merged, "updatedAt": seconds(now)}


def reference_to(asset: Mapping[str, Any], now: datetime) -> Record:
    """Return the reference image entry of an asset, with the paths for responses, which never change."""
    return {
        "assetId": asset["assetId"],
        "path": asset["path"],
        "thumbnailPath": asset["thumbnailPath"],
        "addedAt": seconds(now),
    }


def influencer_view(document: Mapping[str, Any], base_url: Callable[[], str]) -> Record:
    """Return the full record of an influencer, with all fields of the contract in its order.

    `base_url()` is called only when there are pictures; its result has no slash at its end.
    """
    view: Record = dict(zip(INFLUENCER_FIELDS, _view_values(document), strict=True))
    if view["referenceImages"]:
        view["referenceImages"] = references_view(view["referenceImages"], base_url)
    return view


def references_view(entries: list[Record], base_url: Callable[[], str]) -> list[Record]:
    if not entries:
        return []
    base = base_url()
    return [
        {
            "assetId": entry["assetId"],
            "url": base + entry["path"],
            "thumbnailUrl": base + entry["thumbnailPath"],
            "addedAt": entry["addedAt"],
        }
        for entry in entries
    ]


def influencer_item(document: Mapping[str, Any], base_url: Callable[[], str]) -> Record:
    """Return an influencer as an item of a list; its thumbnail is its first reference image, else its portrait."""
    picture = thumbnail_path(document)
    return {
        "influencerId": document["influencerId"],
        "name": document["name"],
        "gender": document["gender"],
        "ageRange": document["ageRange"],
        "status": document["status"],
        "thumbnailUrl": base_url() + picture if picture else None,
        "createdAt": document["createdAt"],
    }


def audit_view(document: Mapping[str, Any]) -> Record:
    """Return the fields of an influencer that its history compares: those of the API, and its deletion."""
    view: Record = dict(zip(_AUDITED_FIELDS, _audited_values(document), strict=True))
    if view["referenceImages"]:
        view["referenceImages"] = [
            {"assetId": entry["assetId"], "addedAt": entry["addedAt"]} for entry in view["referenceImages"]
        ]
    view |= document["attributes"]
    return view


def body_of_clone(source: Mapping[str, Any], body: Mapping[str, Any]) -> Record:
    """Return the body that creates a clone: the source's description, with the overrides of `body` applied."""
    overrides = body.get("overrides", {})
    described = {field: source[field] for field in DESCRIPTION_FIELDS}
    personality = merge_personality(source["personality"], overrides.get("personality", {}))
    clone: Record = {"name": body["name"]} | described | overrides | {"personality": personality}
    return clone | ({"influencerId": body["newInfluencerId"]} if "newInfluencerId" in body else {})


def with_status(document: Record, now_ms: int) -> Record:
    """Return an influencer with its status at `now_ms`."""
    return document | {"status": influencer_status(document, now_ms)} if "schedule" in document else document


class Store:
    """Applies the rules to an engine's tables; every change is one transaction.

    Raises StoreError's subclasses by rule, and EngineError when the engine cannot go on.
    `job_ms` is the length of a job.
    """

    def __init__(
        self,
        db: Engine,
        now: Callable[[], datetime] = utc_now,
        job_ms: int = 2000,
        organization: str = "",
        actor: Actor = SYSTEM,
    ) -> None:
        self.db = db
        self.now = now
        self.job_ms = job_ms
        self.organization = organization
        self.overrides = NO_OVERRIDES
        self.job_failure: Record | None = None  # the error that the jobs begun now will fail with
        self.post_failure: Record | None = None  # the error that the posts scheduled now will fail with
        self.dropped: list[str] = []  # the JSON Pointers of assets in the body that were left out without a word
        self.tables = Tables(db, now, organization)
        self.actor = actor

    # Repositories are created on demand: each request has a store of its own, and needs few of them.

    @cached_property
    def influencers(self) -> Table:
        return self.tables.table("influencers")

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self.tables, self.job_ms, self.job_failure)

    @cached_property
    def containers(self) -> Containers:
        return Containers(self.tables, self.projects, self.jobs)

    @cached_property
    def history(self) -> History:
        return History(self.tables, self.actor)

    @cached_property
    def idempotency(self) -> Idempotency:
        return Idempotency(self.tables)

    @cached_property
    def organizations(self) -> Organizations:
        return Organizations(self.tables)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.tables)

    @cached_property
    def callers(self) -> Callers:
        return Callers(self.db)

    @cached_property
    def projects(self) -> Projects:
        return Projects(self.tables)

    @cached_property
    def assets(self) -> Assets:
        return Assets(self.tables)

    @cached_property
    def social(self) -> SocialAccounts:
        return SocialAccounts(self.tables)

    @cached_property
    def posts(self) -> Posts:
        return Posts(self.tables)

    @cached_property
    def github(self) -> GitHub:
        return GitHub(self.tables)

    @cached_property
    def ingests(self) -> Ingests:
        return Ingests(self.tables)

    @cached_property
    def endpoints(self) -> Endpoints:
        return Endpoints(self.tables)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(self.tables)

    @cached_property
    def announcements(self) -> Announcements:
        return Announcements(self.tables)

    @cached_property
    def controls(self) -> Controls:
        return Controls(self.tables)

    @cached_property
    def faults(self) -> Faults:
        return Faults(self.controls)

    def for_organization(self, organization: str, actor: Actor = SYSTEM, overrides: Overrides | None = None) -> Self:
        """Return this store bound to one organization: `now()` follows its clock, and the history records `actor`.

        `overrides` are the organization's, if they are known already.
        """
        overrides = overrides or self.controls.effective(organization)
        now = self.now if overrides is NO_OVERRIDES else lambda: time_by(overrides.clock, self.now())
        bound = type(self)(self.db, now, self.job_ms, organization, actor)
        bound.overrides = overrides
        return bound

    # Influencers

    def influencer(self, influencer_id: str) -> Record:
        """Return a living influencer's document. Raises NotFound."""
        document = self.any_influencer(influencer_id)
        if document["is_archived"]:
            raise NotFound("Influencer not found.")
        return document

    def any_influencer(self, influencer_id: str) -> Record:
        """Return an influencer's document, archived or not, with its present status. Raises NotFound."""
        document = self.influencers.get(doc_id=influencer_id)
        if document is None:
            raise NotFound("Influencer not found.")
        return with_status(document, self.now_ms()) if "schedule" in document else document

    def patch_influencer(self, influencer_id: str, patch: Record) -> Record:
        """Change the given fields of a living influencer, and return it. Raises NotFound."""
        now = self.now()
        return self._update_influencer(influencer_id, partial(merge_influencer, patch=patch, now=now), now)

    def delete_influencer(self, influencer_id: str, reason: str | None, key_id: str) -> Record:
        """Archive a living influencer, and return it. Raises NotFound."""
        now = self.now()
        archive = partial(archive_influencer, reason=reason, key_id=key_id, now=now)
        return self._update_influencer(influencer_id, archive, now)

    def attach_reference_images(self, influencer_id: str, asset_ids: list[str]) -> Record:
        """Attach those of the assets that belong to the influencer's project, and return it. Raises NotFound."""
        now = self.now()
        return self._update_influencer(influencer_id, partial(self._attach, asset_ids=asset_ids, now=now), now)

    def _attach(self, influencer: Record, asset_ids: list[str], now: datetime) -> Record:
        assets = self.assets.of_project(influencer["projectId"], asset_ids)
        self._note_dropped("/assetIds", asset_ids, assets)
        return attach_references(influencer, assets, now)

    def _note_dropped(self, pointer: str, asset_ids: list[str], assets: list[Record]) -> None:
        known = {canonical(asset["assetId"]) for asset in assets}
        self.dropped = [f"{pointer}/{index}" for index, each in enumerate(asset_ids) if canonical(each) not in known]

    def create_influencer(self, project_id: str, body: Record) -> Record:
        """Create an influencer and return the job that makes it ready. Raises NotFound, Conflict."""
        with self.db.transaction():
            document = self.projects.active(project_id)
            self.settle(document)
            project = document["id"]
            asset_ids = body.get("referenceImages", {}).get("assetIds", [])
            assets = self.assets.of_project(project, asset_ids)
            self._note_dropped("/referenceImages/assetIds", asset_ids, assets)
            references = dedupe_references([], [reference_to(asset, self.now()) for asset in assets])
            return self._create_with_job(project, body, references)

    def clone_influencer(self, influencer_id: str, body: Record) -> Record:
        """Create another influencer like this one and return the job that makes it ready. Raises NotFound, Conflict."""
        with self.db.transaction():
            source = self.influencer(influencer_id)
            project = self.projects.active(source["projectId"])["id"]
            references = refresh_references(source["referenceImages"], self.now())
            return self._create_with_job(project, body_of_clone(source, body), references)

    def page_of_influencers(self, project_id: str, query: Mapping[str, Any]) -> tuple[list[Record], str | None]:
        """Return (living influencers of a project, cursor), newest first. Raises NotFound, BadCursor.

        With the status `archived`, which the API does not accept: the deleted ones, last deletion first.
        """
        of = (self.organization, "influencers", canonical(project_id), query.get("status"))
        before = read_cursor(query.get("cursor"), *of)
        project = self.projects.get(project_id)
        if "due" in project:
            self.settle(project)
        page = self._page(project["id"], query.get("status"), before, query["limit"])
        now_ms = self.now_ms()
        return [with_status(document, now_ms) for document in page.documents], write_cursor(page.next_sort_key, *of)

    # Jobs

    def cancel_job(self, job_id: str) -> str | None:
        """Cancel a running job and return None, or return the status of an ended one. Raises NotFound, Conflict."""
        with self.db.transaction():
            job = self.jobs.get(job_id)
            schedule = self.jobs.canceled(job)
            if schedule is None:
                return state_at(job["schedule"], self.now_ms()).status
            self._reschedule(job, schedule)
            return None

    # Projects

    def patch_project(self, project_id: str, patch: Record) -> Record:
        """Change the given fields of a project, and return it. Raises NotFound."""
        with self.db.transaction():
            if "status" in patch:
                self.settle(self.projects.get(project_id))
            project = self.projects.patch(project_id, patch)
            if project["status"] == PROJECT_ARCHIVED:
                self._stop_archived(project["id"])
            return project

    def archive_project(self, project_id: str) -> tuple[Record, int]:
        """Archive a project; return it, and the number of its posts that were canceled. Raises NotFound."""
        with self.db.transaction():
            self.settle(self.projects.get(project_id))
            project = self.projects.archive(project_id)
            return project, self._stop_archived(project["id"])

    def _stop_archived(self, project_id: str) -> int:
        """Cancel in an archived project all that is not finished, and return the number of canceled posts."""
        self.containers.cancel_unfinished(project_id)
        return self.posts.cancel_all(of_project(project_id))

    # Ingests

    def begin_ingest(self, project_id: str, source: str, brand: Record, without: str | None, **about: Any) -> Record:
        """Begin the ingest of a `brand` context from a `source`, and return its job. Raises NotFound, Conflict.

        Its end makes the project's first influencer, unless it fails. `without` is the stage that it does not have;
        `about` are the fields of that source.
        """
        with self.db.transaction():
            self.settle(self.projects.active(project_id))
            project = self.projects.get(project_id) | {"isIngested": True}
            own = {"kind": KINDS[source]} | ({} if without is None else {"without": without})
            schedule = self.jobs.schedule(**own)
            job = self.jobs.begin(project["id"], schedule, ingest={"source": source, "brand": brand} | about)
            if schedule["failure"] is None:
                body = spokesperson(brand)
                project = with_due(project, first_influencer(project, job["jobId"], end_ms(schedule), body))
            self.projects.put(project)
            return job

    # What the clock causes

    def settle(self, project: Record) -> None:
        """Make the writes that are due in a project, in their order, each once; see `domain/due.py`."""
        if due_until(project, self.now_ms()):
            self.db.run_transaction(partial(self._settle, project["id"]))

    def _settle(self, project_id: str) -> None:
        with self.db.transaction():
            project = self.projects.get(project_id)  # anew: of two that look at once, the second finds nothing due
            for entry in due_until(project, self.now_ms()):
                self._effects[entry["effect"]](project, entry)
                project = without_due(project, entry["id"])
            self.projects.put(project)

    @property
    def _effects(self) -> dict[str, Callable[[Record, Record], None]]:
        return {FIRST_INFLUENCER: self._create_first_influencer}

    def _create_first_influencer(self, project: Record, entry: Record) -> None:
        """Create an influencer of `entry["body"]`, ready since `entry["atMs"]`.

        An archived project gets none, nor does one that ever had an influencer.
        """
        indexes = [project["id"] + kind for kind in (OK, WILL_FAIL, ARCHIVED)]
        if (
            project["status"] == PROJECT_ARCHIVED
            or self.influencers.contains(doc_id=entry["influencerId"])
            or any(self.db.scan("influencers", self.organization, index) for index in indexes)
        ):
            return
        at = from_epoch_milliseconds(entry["atMs"])
        schedule = new_schedule(entry["atMs"], 0)
        created = new_influencer(self.organization, project["id"], entry["influencerId"], entry["body"], schedule, at)
        self._put_influencer(None, created, at, History(self.tables, SYSTEM))

    # The store as a whole

    def signing_key(self) -> str:
        """Return the secret that signs presigned URLs, created once for all workers."""
        found = self.tables.table("secrets", "signing").get(doc_id="signing")
        return str((found or self.db.run_transaction(self._make_signing_key))["key"])

    def _make_signing_key(self) -> Record:
        with self.db.transaction():
            secrets = self.tables.table("secrets", "signing")
            found = secrets.get(doc_id="signing") or {"id": "signing", "key": token_urlsafe(32)}
            secrets.upsert(found)
            return found

    def is_empty(self) -> bool:
        return not self.db.tables()

    def now_ms(self) -> int:
        return epoch_milliseconds(self.now())

    def _update_influencer(self, influencer_id: str, change: Callable[[Record], Record], now: datetime) -> Record:
        """Replace a living influencer by `change(influencer)`, and return the new one. Raises NotFound."""
        with self.db.transaction():
            before = self.any_influencer(influencer_id)
            if before["is_archived"]:
                raise NotFound("Influencer not found.")
            after = change(before)
            if after != before:
                after["revision"] = before.get("revision", 0) + 1
                self.influencers.upsert(after)
                self.history.note(after, audit_view(before), audit_view(after), now)
            return after

    def _put_influencer(
        self, before: Record | None, after: Record, now: datetime, history: History | None = None
    ) -> None:
        """Write an influencer and an entry of its history, by default that of the store's actor."""
        revised: Record = after | {"revision": (before or {}).get("revision", 0) + 1}
        self.influencers.upsert(revised)
        (history or self.history).note(revised, before and audit_view(before), audit_view(revised), now)

    def _create_with_job(self, project_id: str, body: Record, references: list[Record]) -> Record:
        influencer_id = body.get("influencerId") or mint("inf")
        if self.influencers.contains(doc_id=influencer_id):
            raise Conflict("Influencer id is already taken.", subcode="ID_TAKEN", influencerId=influencer_id)
        schedule = self.jobs.schedule()
        influencer = new_influencer(self.organization, project_id, influencer_id, body, schedule, self.now())
        self._put_influencer(None, influencer | {"referenceImages": references}, self.now())
        job = self.jobs.begin(project_id, schedule, influencerId=influencer_id)
        if self._is_by_real_clock():
            self.jobs.drop_finished(project_id)
        return job

    def _reschedule(self, job: Record, schedule: Record) -> None:
        """Replace the schedule of a job, and of all that it makes."""
        if "containerIds" in job:
            self.containers.end(job, schedule)
            return
        self.jobs.reschedule(job, schedule)
        if "ingest" in job:
            self.projects.put(without_due(self.projects.get(job["projectId"]), job["jobId"]))
            return
        self.containers.fail_waiting(job["influencerId"], schedule)
        influencer = self.influencers.get(doc_id=job["influencerId"])
        if influencer is not None:
            now = self.now()
            before, after = (
                with_status(each, epoch_milliseconds(now)) for each in (influencer, influencer | {"schedule": schedule})
            )
            self._put_influencer(before, after, now)

    def _page(self, project: str, status: str | None, before: str | None, limit: int) -> Page:
        if status == "draft":
            return Page([], None)  # never produced
        if status in ("pending", "training") and self._is_by_real_clock():
            return self._running(project, status, before, limit)
        kinds = {"ready": (OK,), "failed": (WILL_FAIL,), "archived": (ARCHIVED,)}.get(status or "", (OK, WILL_FAIL))

        def keep(document: Record) -> bool:
            return status in (None, "archived") or influencer_status(document, self.now_ms()) == status

        return self.tables.page("influencers", [project + kind for kind in kinds], before, limit, keep)

    def _is_by_real_clock(self) -> bool:
        """Whether a finished job stays finished; by any other clock it may run again, once that is set back."""
        return bool(self.overrides.clock["mode"] == REAL["mode"])

    def _running(self, project: str, status: str, before: str | None, limit: int) -> Page:
        """Return the influencers whose job still runs: only those begun within a job's length are read."""
        found = filter(None, map(self._influencer_of, self.jobs.running(project)))
        return newest_page((each for each in found if influencer_status(each, self.now_ms()) == status), before, limit)

    def _influencer_of(self, job: Record) -> Record | None:
        document = self.influencers.get(doc_id=job["influencerId"])
        return None if document is None or document["is_archived"] else document
