"""The containers of an organization, and all that is written together with them: jobs, assets, credits, the counter."""

import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from layers_standin.domain.approvals import (
    APPROVED,
    auto_ms,
    counted_down,
    decide,
    merge_policy,
    new_approval,
    policy_of,
)
from layers_standin.domain.content import (
    INFLUENCER_FAILED,
    container_status,
    content_schedule,
    copy_of,
    moment_key,
    new_container,
    new_making,
    refuse_while_made,
)
from layers_standin.domain.credits import PRICES, fold_refunds, give_back, has_refund, note_refund, take
from layers_standin.domain.cursors import read_cursor, write_cursor
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.ids import canonical, id_of, mint
from layers_standin.domain.jobs import Jobs
from layers_standin.domain.projects import Projects
from layers_standin.domain.schedules import CONTENT_GENERATE, cancel, end_ms, state_at
from layers_standin.domain.tables import (
    CANCELED,
    OK,
    WILL_FAIL,
    Page,
    Tables,
    approvals,
    awaited,
    ends,
    newest_page,
    oldest_first,
    with_influencer,
)
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.table import Record

_RUNNING = {"queued", "generating"}
_OUTCOMES = {"completed": {OK}, "failed": {WILL_FAIL}, "canceled": {CANCELED}}  # the others: all that were not canceled
_AT_ONCE = 100


class Plan(NamedTuple):
    """Content to be made: of each container its `variety`; `container` is the one that is made again.

    `influencer` is the copy that the content keeps of it. `job` is the earlier one of a repeated call: nothing is made.
    """

    project: Record
    format: str
    brief: Record | None
    influencer: Record | None
    varieties: tuple[int, ...]
    container: Record | None = None
    kept: list[Record] | None = None  # the assets, if they are preserved
    job: Record | None = None


class Containers:
    """The containers of an organization. Each method that writes is a part of the request's transaction."""

    def __init__(self, tables: Tables, projects: Projects, jobs: Jobs) -> None:
        self._tables, self._projects, self._jobs = tables, projects, jobs
        self._containers = tables.table("containers")
        self._influencers = tables.table("influencers")
        self._assets = tables.table("assets")
        self._organizations = tables.table("organizations")

    def get(self, container_id: str) -> Record:
        """Return a container's document. Raises NotFound."""
        document = self._containers.get(doc_id=container_id)
        if document is None:
            raise NotFound("Container not found.")
        return document

    def asset(self, container_id: str, asset_id: str) -> Record:
        """Return an asset that a completed job has made for a container, now or earlier. Raises NotFound."""
        container, asset = self.get(container_id), self._assets.get(doc_id=asset_id)
        if asset is None or asset.get("containerId") != container["id"]:
            raise NotFound("Asset not found.")
        if state_at(self._jobs.get(asset["jobId"])["schedule"], self._now_ms()).status != "completed":
            raise NotFound("Asset not found.")
        return asset

    def with_influencer(self, influencer_id: str, limit: int) -> list[Record]:
        """Return the newest `limit` containers that an influencer is in, living or not."""
        return self._tables.page("containers", [with_influencer(influencer_id)], None, limit, lambda _: True).documents

    def page(self, project_id: str, query: Mapping[str, Any]) -> tuple[list[Record], str | None]:
        """Return (containers of a project, cursor), newest first. Raises NotFound, BadCursor.

        `query` is {"limit", "cursor"?, "status"?: [str], "format"?: [str], "since"?, "until"?: milliseconds}.
        """
        statuses, formats = set(query.get("status", ())), set(query.get("format", ()))
        since, until = query.get("since"), query.get("until")
        filters = [",".join(sorted(each)) for each in (statuses, formats)] + [str(since), str(until)]
        of = (self._tables.organization, "content", canonical(project_id), *filters)
        before = read_cursor(query.get("cursor"), *of)
        project = self._projects.get(project_id)["id"]
        highest = None if until is None else moment_key(until + 1)
        before = min(filter(None, (before, highest)), default=None)
        floor = "" if since is None else moment_key(since)
        page = self._page(project, statuses, formats, before, floor, query["limit"])
        return page.documents, write_cursor(page.next_sort_key, *of)

    def _page(
        self, project: str, statuses: set[str], formats: set[str], before: str | None, floor: str, limit: int
    ) -> Page:
        now_ms = self._now_ms()

        def keep(document: Record) -> bool:
            return not statuses or container_status(document, now_ms) in statuses

        if statuses and statuses <= _RUNNING:
            found = (
                document
                for document in self._unfinished(project)
                if keep(document) and (not formats or document["format"] in formats) and floor <= document["sortKey"]
            )
            return newest_page(found, before, limit)
        every = {OK, WILL_FAIL, CANCELED}
        outcomes = set().union(*(_OUTCOMES.get(each, every - {CANCELED}) for each in statuses)) if statuses else every
        indexes = [project + outcome for outcome in sorted(outcomes)]
        if formats:
            indexes = [f"{index}:{each}" for index in indexes for each in sorted(formats)]
        return self._tables.page("containers", indexes, before, limit, keep, floor)

    # Making

    def plan(self, project_id: str, body: Mapping[str, Any]) -> Plan:
        """Return the plan of a validated generate body. Raises NotFound, Conflict."""
        project = self._projects.get(project_id)
        brief, varieties = body.get("brief"), tuple(range(body["variantCount"]))
        earlier = self._containers.get(doc_id=body["id"]) if "id" in body else None
        if earlier is not None:
            if earlier.get("request") != _mark(project, body):
                raise Conflict("Container id is already taken.", subcode="ID_TAKEN", containerId=earlier["id"])
            job = self._jobs.get(earlier["requestJobId"])
            return Plan(project, body["format"], brief, None, (), job=job)
        self._projects.active(project_id)
        influencer_id = (brief or {}).get("influencerId")
        influencer = None if influencer_id is None else self._copy_of(project["id"], influencer_id)
        return Plan(project, body["format"], brief, influencer, varieties)

    def plan_again(self, container_id: str, body: Mapping[str, Any]) -> Plan:
        """Return the plan of a validated regenerate body. Raises NotFound, Conflict."""
        container = self.get(container_id)
        project = self._projects.active(container["projectId"])
        refuse_while_made(container, self._now_ms())
        given = body.get("brief", {})
        brief = None if container["brief"] is None and not given else (container["brief"] or {}) | given
        influencer_id = given.get("influencerId", container["influencerId"])
        influencer = container["influencer"]
        if influencer_id is not None and _differ(influencer_id, container["influencerId"]):
            influencer = self._copy_of(project["id"], influencer_id)
        is_kept = body["preserveAssets"] and container_status(container, self._now_ms()) == "completed"
        kept = container["assets"] if is_kept else None
        return Plan(project, container["format"], brief, influencer, (container["variety"] + 1,), container, kept)

    def generate(self, plan: Plan, body: Mapping[str, Any], drawn: list[list[Record]]) -> Record:
        """Write the containers of a plan, with the assets of each, and return their job."""
        ids = [body.get("id") or mint("cnt"), *(mint("cnt") for _ in plan.varieties[1:])]
        job = self._begin(plan, ids, drawn)
        approval = self._approval(plan.project, job)
        known = {"request": _mark(plan.project, body), "requestJobId": job["jobId"]} if "id" in body else {}
        for number, (container_id, variety, assets) in enumerate(zip(ids, plan.varieties, drawn, strict=True)):
            making = new_making(plan.brief, plan.influencer, assets, variety) | self._made_by(job) | approval
            organization, project = self._tables.organization, plan.project["id"]
            document = new_container(organization, project, container_id, body, making, self._tables.now())
            self._containers.insert(document | (known if number == 0 else {}))
            self._put_assets(container_id, job, assets)
        return job

    def regenerate(self, plan: Plan, body: Mapping[str, Any], drawn: list[list[Record]]) -> Record:
        """Make the container of a plan again, with new assets or the kept ones, and return its job."""
        container = plan.container or {}
        project = self._projects.get(container["projectId"])  # locked, before the organization as in `generate`
        job = self._begin(plan, [container["id"]], drawn)
        approval = self._approval(project, job)
        approved_ms = auto_ms(container)
        if approved_ms is not None and policy_of(project)["countedFromMs"] <= approved_ms <= self._now_ms():
            self._projects.put(counted_down(project))  # the container's index entry, which counted, is replaced
        making = new_making(plan.brief, plan.influencer, drawn[0], plan.varieties[0]) | self._made_by(job)
        references = {"references": body["references"]} if "references" in body else {}
        self._containers.upsert(container | making | references | approval)
        if plan.kept is None:
            self._put_assets(container["id"], job, drawn[0])
        return job

    def _begin(self, plan: Plan, ids: list[str], assets: list[list[Record]]) -> Record:
        """Write the job, and take its credits."""
        schedule = content_schedule(self._jobs.schedule(kind=CONTENT_GENERATE), plan.influencer)
        about: Record = {"containerIds": ids, "credits": PRICES[plan.format] * len(ids)}
        about |= {"containerId": ids[0]} if len(ids) == 1 else {}
        made = [asset for each in assets for asset in each]
        job = self._jobs.begin(plan.project["id"], schedule, **about, assets=made)
        organization = take(self._organization(), job["credits"], schedule["startedMs"])
        if schedule["failure"]:
            organization = note_refund(
                organization, job["jobId"], job["credits"], schedule["startedMs"], end_ms(schedule)
            )
        self._organizations.upsert(fold_refunds(organization, self._now_ms()))
        return job

    def _copy_of(self, project_id: str, influencer_id: str) -> Record:
        """Return the copy of a living influencer of that project. Raises NotFound."""
        document = self._influencers.get(doc_id=influencer_id)
        if document is None or document["is_archived"] or document["projectId"] != project_id:
            raise NotFound("Influencer not found.")
        return copy_of(document, self._now_ms())

    def _made_by(self, job: Record) -> Record:
        return {"jobId": job["jobId"], "schedule": job["schedule"]}

    def _put_assets(self, container_id: str, job: Record, assets: list[Record]) -> None:
        for asset in assets:
            self._assets.upsert(asset | {"containerId": container_id, "jobId": job["jobId"]})

    # The ends of jobs

    def end(self, job: Record, schedule: Record) -> None:
        """End a job before its time: give it and its containers the new `schedule`, and the credits back."""
        self._jobs.put(job | {"schedule": schedule})
        for container_id in job["containerIds"]:
            container = self._containers.get(doc_id=container_id)
            if container is not None and container["jobId"] == job["jobId"]:
                self._containers.upsert(container | {"schedule": schedule})
        organization, job_id, taken_ms = self._organization(), job["jobId"], schedule["startedMs"]
        if not job["schedule"]["failure"] or has_refund(organization, job_id):  # else they were given back for good
            self._organizations.upsert(give_back(organization, job_id, job["credits"], taken_ms))

    def cancel_unfinished(self, project_id: str) -> None:
        """Cancel the jobs of a project's unfinished containers, in any stage."""
        job_ids = dict.fromkeys(container["jobId"] for container in self._unfinished(project_id))
        for job in [self._jobs.get(job_id) for job_id in job_ids]:
            self.end(job, cancel(job["schedule"], self._now_ms()))

    def fail_waiting(self, influencer_id: str, influencer_schedule: Record) -> None:
        """Let containers that wait for an influencer fail with it: its job was canceled just now."""
        index, organization = awaited(influencer_id), self._tables.organization
        for sort_key in self._tables.db.scan("containers", organization, index, limit=sys.maxsize):
            container = self.get(id_of(sort_key))
            influencer = container["influencer"] | {"schedule": influencer_schedule}
            self._containers.upsert(container | {"influencer": influencer})
            job = self._jobs.get(container["jobId"])
            if state_at(job["schedule"], self._now_ms()).status == "running":
                wait_ms = max(0, end_ms(influencer_schedule) - job["schedule"]["startedMs"])
                ended = {"waitMs": wait_ms, "lengthMs": wait_ms, "failure": INFLUENCER_FAILED}
                self.end(job, job["schedule"] | ended)

    def _unfinished(self, project_id: str) -> Iterator[Record]:
        """Yield the containers of a project whose job ends later than now."""
        before, index = oldest_first(self._now_ms(), ""), ends(project_id)
        while sort_keys := self._tables.db.scan("containers", self._tables.organization, index, before, _AT_ONCE):
            for container in self._tables.all("containers", map(id_of, sort_keys)):
                if container_status(container, self._now_ms()) in _RUNNING:
                    yield container
            before = sort_keys[-1]

    # Approval

    def decide(self, container_id: str, status: str, by: str, **about: str | None) -> Record:
        """Approve or reject a container and return it; an approval lowers the counter. Raises NotFound, Conflict."""
        decided = decide(self.get(container_id), status, by, self._now_ms(), **about)
        self._containers.upsert(decided)
        project = self._projects.get(decided["projectId"])
        if status == APPROVED and self.blocked_count(project):
            self._projects.put(counted_down(project))
        return decided

    def blocked_count(self, project: Mapping[str, Any]) -> int:
        """Return how many of a project's first containers are still to be approved."""
        policy = policy_of(project)
        remaining = int(policy["remaining"])
        if not remaining:
            return 0
        since = oldest_first(policy["countedFromMs"], "")
        index = approvals(project["id"])
        return remaining - len(self._tables.oldest_between("containers", since, self._now_ms(), index, remaining))

    def set_policy(self, project_id: str, patch: Mapping[str, Any]) -> Record:
        """Change the approval policy of a project, and return the project. Raises NotFound."""
        project = merge_policy(self._projects.get(project_id), patch, self._tables.now())
        self._projects.put(project)
        return project

    def _approval(self, project: Record, job: Record) -> Record:
        return {"approval": new_approval(project, self.blocked_count(project), job["schedule"])}

    def _organization(self) -> Record:
        found: Record = self._organizations.get(doc_id=self._tables.organization) or {}
        return found

    def _now_ms(self) -> int:
        return epoch_milliseconds(self._tables.now())


def _mark(project: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """Return a hash of a generate call, by which its repetition is known."""
    return sha256(orjson.dumps([project["id"], body], option=orjson.OPT_SORT_KEYS)).hexdigest()


def _differ(one: str, other: str | None) -> bool:
    return other is None or canonical(one) != canonical(other)
