"""The promise: content and posts that carry an influencer go on after its deletion, as if it lived.

Two organizations live through the same day. In one of them both influencers are deleted in the middle of everything.
All that can be asked about their content and posts is asked in both, and answered the same.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from flask import Flask
from servers import STAYS_OPEN, serving
from twins import Reply, Twins

from layers_standin.engines.table import Record

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SHOP = "/v1/projects/shop"
KIM, NOA = "inf_01HXZZZZZZZZZZZZZZZZZZZK1M", "inf_01HXZZZZZZZZZZZZZZZZZZZN0A"
NO_INFLUENCER = Reply(
    404, {"error": {"code": "NOT_FOUND", "message": "Influencer not found.", "requestId": "<request>"}}
)
BRIEF = {"influencerId": KIM, "topic": "Rain in spring"}  # always the same, for drawing another takes its time
JUST_BEGUN = {"id": "cnt_00000000000000000000000000", "brief": BRIEF}
STATUSES_OF_CONTENT = ("queued", "generating", "completed", "failed", "canceled")
STATUSES_OF_POSTS = ("queued", "publishing", "published", "draft_in_inbox", "failed", "canceled")
SNAPSHOT = (("/snapshots", {"name": "kept"}), ("/reset", {"to": "empty"}), ("/snapshots/kept/restore", {}))
LISTS = [
    *(f"{SHOP}/content?{query}" for query in ("limit=100", "limit=5", "format=slideshow_remix")),
    *(f"{SHOP}/content?status={status}" for status in STATUSES_OF_CONTENT),
    *(f"{SHOP}/scheduled-posts?{query}" for query in ("limit=100", "limit=5", "status=queued&status=publishing")),
    *(f"{SHOP}/scheduled-posts?status={status}" for status in STATUSES_OF_POSTS),
]


def live_through_a_deletion(twins: Twins, disturb: Callable[[], None]) -> None:
    """Let the twins live through their day; `disturb` happens to the service in between, and must not be noticed."""
    shop = Shop(twins)
    shop.open()
    shop.bring_all_into_being()
    before = shop.everything()
    assert shop.statuses_of_content() == {
        "plain": ("completed", "not_required"),
        "pending": ("completed", "pending"),
        "held back": ("completed", "pending"),
        "doubtful": ("completed", "pending"),
        "undecided": ("completed", "pending"),
        "approved": ("completed", "approved"),
        "rejected": ("completed", "rejected"),
        "withdrawn": ("canceled", "pending"),
        "in the making": ("generating", "pending"),
        "expecting": ("queued", "pending"),  # until Noa is ready
        "just begun": ("queued", "pending"),
        "unwanted": ("queued", "pending"),
    }
    assert shop.statuses_of_posts() == {
        "out": "published",
        "draft": "draft_in_inbox",
        "on its way": "publishing",
        "called off": "canceled",
        "at ten": "queued",
        "at eleven": "queued",
        "dropped": "queued",
        "held back": None,
        "doubtful": None,
        "undecided": None,
    }

    delete_in_one(twins, KIM)
    delete_in_one(twins, NOA)
    disturb()
    assert shop.everything() == before

    shop.ask_for_all_that_can_be_asked_meanwhile()
    shop.let_the_jobs_finish()
    shop.ask_for_all_that_can_be_asked_afterwards()
    disturb()
    shop.let_the_posts_go_out()

    credits = twins.one.ask(twins.door(), "GET", "/v1/credits")
    new = {"brief": {"influencerId": KIM}}
    refusal, reply = (twin.ask(twins.door(), "POST", f"{SHOP}/content", new) for twin in twins.both)
    assert (refusal, reply.status) == (NO_INFLUENCER, 202)
    assert twins.one.ask(twins.door(), "GET", "/v1/credits") == credits


def delete_in_one(twins: Twins, influencer: str) -> None:
    path = f"/v1/influencers/{influencer}"
    assert twins.one.ask(twins.door(), "DELETE", path, {"reason": "Asked to be forgotten."}).status == 200
    assert [twin.ask(twins.door(), "GET", path).status for twin in twins.both] == [404, 200]


class Shop:
    """The twins' project: what they do there, each step at its time of the day. All that is in it has a name here."""

    def __init__(self, twins: Twins) -> None:
        self.twins = twins
        self.accounts: dict[str, str] = {}
        self.content: dict[str, str] = {}
        self.jobs: dict[str, str] = {}
        self.posts: dict[str, str] = {}

    # Verbs

    def generate(self, *names: str, **body: Any) -> Record:
        body = {"variantCount": len(names), "brief": BRIEF} | body
        job: Record = self.twins.do("POST", f"{SHOP}/content", body)
        self.content |= zip(names, job["containerIds"], strict=True)
        self.jobs |= dict.fromkeys(names, job["locationUrl"])
        return job

    def schedule(self, name: str, of: str, time: str, platform: str = "tiktok", mode: str = "direct_publish") -> str:
        """Schedule content, as a post of that name; return the status of the gate."""
        self.posts[name] = f"sp_{len(self.posts):026d}"
        target = {"socialAccountId": self.accounts[platform], "mode": mode, "scheduledPostId": self.posts[name]}
        body = {"scheduledFor": moment(time), "targets": [target]}
        return str(self.twins.do("POST", self.of(of, "schedule"), body)["gateStatus"])

    def of(self, name: str, suffix: str = "") -> str:
        """Return the path of content."""
        return f"/v1/content/{self.content[name]}" + (suffix and f"/{suffix}")

    def post(self, name: str, suffix: str = "") -> str:
        """Return the path of a post."""
        return f"/v1/scheduled-posts/{self.posts[name]}" + (suffix and f"/{suffix}")

    def statuses_of_content(self) -> dict[str, tuple[str, str]]:
        found = {name: self.twins.read(self.of(name)) for name in self.content}
        return {name: (each["status"], each["approvalStatus"]) for name, each in found.items()}

    def statuses_of_posts(self) -> dict[str, str | None]:
        """Return the status of each post; None while it waits for approval."""
        found = {name: self.twins.ask("GET", self.post(name)) for name in self.posts}
        return {name: reply.body.get("status") for name, reply in found.items()}

    def everything(self) -> dict[str, Any]:
        """Return by path all that can be read of the twins' content and posts."""
        paths = [SHOP, f"{SHOP}/approval-policy", f"{SHOP}/social-accounts", "/v1/credits", *LISTS]
        paths += [self.of(name, suffix) for name in self.content for suffix in ("", "progress")]
        paths += [*map(self.post, self.posts), *(f"/v1/jobs/{each}" for each in self.twins.known("job"))]
        found = {path: self.twins.ask("GET", path).body for path in paths}
        for path in [path for path in LISTS if "limit=5" in path]:
            pages = [found[path]]
            while pages[-1]["nextCursor"]:
                pages.append(self.twins.read(f"{path}&cursor={pages[-1]['nextCursor']}"))
            whole = found[path.replace("limit=5", "limit=100")]["items"]
            assert [item for page in pages for item in page["items"]] == whole
        return found

    # The day

    def open(self) -> None:
        self.twins.until(moment("09:00:00"))
        self.twins.do("POST", "/v1/projects", {"id": "shop", "name": "Shop", "timezone": "Europe/Lisbon"})
        self.twins.do("POST", f"{SHOP}/influencers", {"influencerId": KIM, "name": "Kim", "hairColor": "black"})
        for platform in ("tiktok", "instagram"):
            oauth = {"platform": platform, "returnUrl": "http://localhost/back"}
            begun = self.twins.do("POST", f"{SHOP}/social/oauth-url", oauth)
            self.twins.allow(begun["authorizeUrl"])
            self.accounts[platform] = self.twins.read(f"/v1/social/oauth-status/{begun['state']}")["socialAccountId"]

    def bring_all_into_being(self) -> None:
        """Bring content and posts into every state in which they can be at one moment."""
        self.twins.until(moment("09:00:02"))  # Kim is ready
        self.generate("plain", format="slideshow_remix")
        policy = {"requiresApproval": True, "autoApproveAfter": "PT8H"}
        self.twins.do("PATCH", f"{SHOP}/approval-policy", policy)
        self.generate("pending", "held back", "doubtful", "undecided")
        self.generate("approved", "rejected")

        self.twins.until(moment("09:00:04"))
        self.twins.do("POST", self.of("approved", "approve"), {"note": "Lovely."})
        self.twins.do("POST", self.of("rejected", "reject"), {"reason": "Too loud."})
        for name in ("held back", "doubtful", "undecided"):
            assert self.schedule(name, name, "12:00:00") == "blocked_on_approval"
        assert self.schedule("out", "plain", "09:00:04") == "scheduled"
        self.schedule("draft", "plain", "09:00:05", "instagram", "draft_to_device")
        self.schedule("called off", "approved", "13:00:00")
        self.schedule("at ten", "approved", "10:00:00", "instagram", "reels")
        self.schedule("at eleven", "approved", "11:00:00")
        self.schedule("dropped", "approved", "11:30:00")
        self.twins.do("DELETE", self.post("called off"))

        self.twins.until(moment("09:00:10"))  # what was due is out
        self.twins.do("POST", f"{SHOP}/influencers", {"influencerId": NOA, "name": "Noa"})
        self.generate("in the making")
        self.schedule("on its way", "approved", "09:00:10")
        self.twins.until(moment("09:00:11"))
        self.generate("expecting", brief={"influencerId": NOA, "cta": "Come in."})
        self.generate("just begun", **JUST_BEGUN)
        for name in ("unwanted", "withdrawn"):
            self.generate(name)
        self.twins.do("POST", f"{self.jobs['withdrawn']}/cancel")

    def ask_for_all_that_can_be_asked_meanwhile(self) -> None:
        do, refused = self.twins.do, self.twins.refused
        assert refused("POST", self.of("just begun", "regenerate")) == (409, "The container is still being generated.")
        assert refused("POST", self.of("just begun", "publish"), self.to()) == (409, "The container is not completed.")
        assert refused("POST", self.of("pending", "publish"), self.to()) == (403, "The container is not approved.")
        assert refused("POST", self.of("rejected", "publish"), self.to()) == (409, "The container was rejected.")
        assert refused("POST", self.of("rejected", "approve")) == (409, "Container is already rejected.")
        no = {"reason": "No."}
        assert refused("POST", self.of("approved", "reject"), no) == (409, "Container is already approved.")
        assert refused("POST", self.of("plain", "approve")) == (409, "Container needs no approval.")
        assert refused("DELETE", self.post("on its way")) == (409, "A post that is publishing cannot be canceled.")
        assert refused("DELETE", self.post("held back")) == (404, "Scheduled post not found.")
        soon = {"scheduledFor": moment("09:00:40")}
        assert refused("POST", self.post("at eleven", "reschedule"), soon) == (422, "Invalid body.")

        assert self.generate("just begun", **JUST_BEGUN)["locationUrl"] == self.jobs["just begun"]  # not a new one
        do("POST", f"{self.jobs['unwanted']}/cancel")
        do("POST", self.of("pending", "approve"))
        (now,) = do("POST", self.of("pending", "publish"), self.to())["scheduledPosts"]
        self.posts["published now"] = now["id"]
        promoted = do("POST", self.of("held back", "approve"))["pendingSchedulePromotion"]
        assert promoted == {"status": "ok", "scheduledPostIds": [self.posts["held back"]]}
        do("POST", self.of("doubtful", "reject"), no)
        do("POST", self.post("at eleven", "reschedule"), {"scheduledFor": moment("11:15:00")})
        do("DELETE", self.post("dropped"), {"reason": "Sold out."})
        self.schedule("another", "plain", "12:30:00", "instagram", "feed")
        do("POST", self.of("plain", "regenerate"), {"preserveAssets": True})
        do("POST", self.of("approved", "regenerate"), {"brief": {"influencerId": KIM, "hook": "Look!"}})
        do("POST", self.of("withdrawn", "regenerate"))

    def let_the_jobs_finish(self) -> None:
        for time in ("09:00:12", "09:00:14"):
            self.twins.until(moment(time))
            self.everything()
        assert self.statuses_of_content() == {
            "plain": ("completed", "pending"),  # made again, under the policy
            "pending": ("completed", "approved"),
            "held back": ("completed", "approved"),
            "doubtful": ("completed", "rejected"),
            "undecided": ("completed", "pending"),
            "approved": ("completed", "pending"),  # made again
            "rejected": ("completed", "rejected"),
            "withdrawn": ("completed", "pending"),  # made again
            "in the making": ("completed", "pending"),
            "expecting": ("completed", "pending"),
            "just begun": ("completed", "pending"),
            "unwanted": ("canceled", "pending"),
        }
        jobs = [self.twins.read(f"/v1/jobs/{each}") for each in self.twins.known("job")]
        assert {job["status"] for job in jobs} == {"completed", "canceled"}
        canceled = {job["locationUrl"] for job in jobs if job["status"] == "canceled"}
        assert canceled == {self.jobs["unwanted"], self.jobs["withdrawn"]}

    def ask_for_all_that_can_be_asked_afterwards(self) -> None:
        do, refused = self.twins.do, self.twins.refused
        for name in ("in the making", "expecting", "just begun"):
            do("POST", self.of(name, "approve"))
        assert self.schedule("of one in the making", "in the making", "12:15:00") == "scheduled"
        assert self.schedule("of one expecting", "expecting", "12:45:00") == "scheduled"
        do("POST", self.of("expecting", "regenerate"), {"brief": {"hook": "Once more."}})
        do("POST", self.of("rejected", "regenerate"))
        do("POST", self.of("withdrawn", "reject"), {"reason": "Still no."})
        assert self.schedule("just in case", "plain", "14:00:00") == "blocked_on_approval"
        do("POST", self.post("of one in the making", "reschedule"), {"scheduledFor": moment("12:20:00")})
        assert refused("DELETE", self.post("out")) == (409, "A post that is published cannot be canceled.")
        assert refused("DELETE", self.post("dropped")) == (409, "A post that is canceled cannot be canceled.")
        assert refused("DELETE", self.post("doubtful")) == (404, "Scheduled post not found.")

    def let_the_posts_go_out(self) -> None:
        due = {
            "published now": "09:00:41",
            "at ten": "10:00:00",
            "at eleven": "11:15:00",
            "held back": "12:00:00",
            "of one in the making": "12:20:00",
            "another": "12:30:00",
            "of one expecting": "12:45:00",
        }
        for name, time in due.items():
            seen = []
            for milliseconds in (-1, 0, 1999, 2000):
                self.twins.until(moment(time, milliseconds))
                seen.append(self.twins.read(self.post(name))["status"])
            assert seen == ["queued", "publishing", "publishing", "published"], name
        self.twins.until(moment("18:00:00"))  # nobody has decided for more than eight hours
        self.everything()
        assert self.statuses_of_posts() == {
            **dict.fromkeys(due, "published"),
            "out": "published",
            "draft": "draft_in_inbox",
            "on its way": "published",
            "called off": "canceled",
            "dropped": "canceled",
            "doubtful": None,
            "undecided": "published",
            "just in case": "published",
        }
        for name in due:
            self.twins.read(self.twins.read(self.post(name))["externalUrl"])
        for name in self.content:
            for asset in self.twins.read(self.of(name))["assets"]:
                assert self.twins.read(asset["url"]) == asset["checksumSha256"]

    def to(self) -> Record:
        return {"targets": [{"socialAccountId": self.accounts["tiktok"], "mode": "direct_publish"}]}


def moment(time: str, milliseconds: int = 0) -> str:
    """Return a time of the day, or some milliseconds from it."""
    at = datetime.fromisoformat(f"2026-05-04T{time}+00:00") + timedelta(milliseconds=milliseconds)
    return at.isoformat()


# Where it happens


@pytest.fixture
def in_process(app: Flask) -> Iterator[httpx.Client]:
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://localhost") as client:
        yield client


def test_in_one_process_that_takes_a_snapshot_and_restores_it(in_process):
    def restore():
        for path, body in SNAPSHOT:
            in_process.post(f"/_standin{path}", json=body).raise_for_status()

    live_through_a_deletion(Twins([in_process]), restore)


def test_across_workers_that_are_killed_and_started_again(settings, tmp_path):
    database = {} if settings.store is None else {"STANDIN_STORE": settings.store}
    with ExitStack() as stack:

        def start():
            server = stack.enter_context(serving(tmp_path / "served", *STAYS_OPEN, **database))
            return server, [server.client_of(worker) for worker in server.workers()]

        def crash():
            nonlocal server
            server.kill()
            server, twins.doors = start()

        server, doors = start()
        assert len(doors) == 2
        twins = Twins(doors)
        live_through_a_deletion(twins, crash)


def test_what_stops_content_and_posts_stops_them_alike(in_process):
    """The job of a deleted influencer is canceled, the clock is set back, and the project archived."""
    twins = Twins([in_process])
    shop = Shop(twins)
    shop.open()
    begun = twins.do("POST", f"{SHOP}/influencers", {"influencerId": NOA, "name": "Noa"})
    shop.generate("expecting", brief={"influencerId": NOA})
    twins.until(moment("09:00:02"))
    shop.generate("done")
    twins.until(moment("09:00:04"))
    shop.generate("running")
    shop.schedule("waiting", "done", "10:00:00")
    twins.until(moment("09:00:01"))  # so that neither of them is ready
    delete_in_one(twins, KIM)
    delete_in_one(twins, NOA)

    twins.do("POST", f"{begun['locationUrl']}/cancel")
    shop.everything()
    twins.until(moment("09:00:05"))
    shop.everything()
    assert shop.statuses_of_content() == {
        "expecting": ("failed", "not_required"),
        "done": ("completed", "not_required"),
        "running": ("generating", "not_required"),
    }
    twins.do("POST", shop.of("expecting", "regenerate"))
    assert twins.do("DELETE", SHOP)["canceledScheduledPosts"] == 1
    shop.everything()
    assert shop.statuses_of_content()["running"] == ("canceled", "not_required")
    assert shop.statuses_of_posts() == {"waiting": "canceled"}
