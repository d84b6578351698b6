"""The scheduled posts of an organization, in lists by their time and by their status at a moment."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, takewhile
from typing import Any, NamedTuple

from layers_standin.domain.cursors import read_cursor, write_cursor
from layers_standin.domain.errors import Conflict, NotAcceptable, NotFound
from layers_standin.domain.ids import id_of
from layers_standin.domain.posts import (
    DRAFT,
    ENDS,
    FAILED,
    NEVER_MS,
    PUBLISHED,
    PUBLISHING,
    QUEUED,
    REAUTH_REQUIRED,
    STATUSES,
    approve,
    at_or_after,
    cancel,
    is_visible,
    of_account,
    of_container,
    of_project,
    reschedule,
    sort_key,
    state_at,
)
from layers_standin.domain.tables import Page, Tables
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.table import Record

MIN_LEAD_MS = 30_000  # from now to the time of a rescheduled post, or of one that is published now

_LAST = "~"  # greater than every sort key
_AT_ONCE = 100


class Posts:
    """The scheduled posts of an organization."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._posts = tables.table("posts")

    def get(self, post_id: str) -> Record:
        """Return a post's document. Raises NotFound, also while the post waits for approval."""
        post = self._posts.get(doc_id=post_id)
        if post is None or not is_visible(post, self._now_ms()):
            raise NotFound("Scheduled post not found.")
        return post

    def page(self, project_id: str, query: Mapping[str, Any]) -> tuple[list[Record], str | None]:
        """Return (posts of a project, cursor), the last scheduled time first. Raises BadCursor."""
        account, since, until = query.get("socialAccountId"), query.get("since", 0), query.get("until", NEVER_MS)
        wanted = frozenset(query.get("status") or STATUSES)
        of = (self._tables.organization, "posts", project_id, account, str(since), str(until), *sorted(wanted))
        before = min(read_cursor(query.get("cursor"), *of) or _LAST, at_or_after(until + 1))
        owner = of_project(project_id) if account is None else of_account(account)
        listing = _Listing(project_id, owner, wanted, at_or_after(since), before, self._now_ms())
        page = self._page(listing, query["limit"])
        return page.documents, write_cursor(page.next_sort_key, *of)

    def schedule(self, posts: Iterable[Record]) -> None:
        """Add new posts, all or none. Raises Conflict when the id of one is taken."""
        with self._tables.db.transaction():
            for post in posts:
                post_id = post["id"]
                if self._posts.contains(doc_id=post_id):
                    raise Conflict("Scheduled post id is already taken.", subcode="ID_TAKEN", scheduledPostId=post_id)
                self._posts.insert(post)

    def reschedule(self, post_id: str, scheduled_ms: int) -> Record:
        """Give a queued post another time. Raises NotFound, Conflict, NotAcceptable."""
        with self._tables.db.transaction():
            post, now_ms = self._queued(post_id, "rescheduled")
            if scheduled_ms < now_ms + MIN_LEAD_MS:
                fault = "Must be at least 30 seconds from now"
                raise NotAcceptable("Invalid body.", fieldErrors={"scheduledFor": [fault]})
            moved = reschedule(post, scheduled_ms, now_ms)
            self._posts.upsert(moved)
            return moved

    def cancel(self, post_id: str, reason: str | None) -> Record:
        """Cancel a queued post, for a reason or None. Raises NotFound, Conflict."""
        with self._tables.db.transaction():
            post, now_ms = self._queued(post_id, "canceled")
            canceled = cancel(post, now_ms) | {"cancelReason": reason}
            self._posts.upsert(canceled)
            return canceled

    def cancel_all(self, owner: str) -> int:
        """Cancel the queued posts of a project or an account, and those that wait; return the number of the first."""
        with self._tables.db.transaction():
            now_ms = self._now_ms()
            queued = list(self._queued_of(owner, now_ms))
            for post in [*queued, *self._waiting(owner, now_ms)]:
                self._posts.upsert(cancel(post, now_ms))
            return len(queued)

    def set_reauth(self, account_id: str, is_required: bool) -> None:
        """Let the queued and waiting posts of an account fail for want of a consent, or no longer for that."""
        before, after = (None, REAUTH_REQUIRED) if is_required else (REAUTH_REQUIRED, None)
        with self._tables.db.transaction():
            owner, now_ms = of_account(account_id), self._now_ms()
            for post in [*self._queued_of(owner, now_ms), *self._waiting(owner, now_ms)]:
                if post["failure"] == before:
                    self._posts.upsert(post | {"failure": after})

    def approve(self, container_id: str) -> Record | None:
        """Schedule the posts that waited for a container's approval; return {"status", "scheduledPostIds"}.

        None if none waited; the status is `failed` if all of them were canceled meanwhile.
        """
        with self._tables.db.transaction():
            now_ms = self._now_ms()
            waited = self._waiting(of_container(container_id), now_ms)
            opened = [approve(post, now_ms) for post in waited if post["canceledMs"] is None]
            for post in opened:
                self._posts.upsert(post)
            self._posts.remove(doc_ids=[post["id"] for post in waited if post["canceledMs"] is not None])
        if not waited:
            return None
        return {"status": "ok" if opened else "failed", "scheduledPostIds": [post["id"] for post in opened]}

    def wait_until(self, container_id: str, opens_ms: int | None) -> None:
        """Let the posts that wait for a container's approval wait until that moment, or with None for a decision."""
        with self._tables.db.transaction():
            for post in self._waiting(of_container(container_id), self._now_ms()):
                self._posts.upsert(post | {"opensMs": opens_ms})

    def reject(self, container_id: str) -> None:
        """Forget the posts that waited for a container's approval."""
        with self._tables.db.transaction():
            waited = self._waiting(of_container(container_id), self._now_ms())
            self._posts.remove(doc_ids=[post["id"] for post in waited])

    def _queued(self, post_id: str, done: str) -> tuple[Record, int]:
        """Return (queued post, now), the time being taken when nobody else can change it. Raises NotFound, Conflict."""
        post = self.get(post_id)
        now_ms = self._now_ms()
        status = state_at(post, now_ms).status
        if status != QUEUED:
            raise Conflict(f"A post that is {status} cannot be {done}.", subcode="POST_NOT_QUEUED", status=status)
        return post, now_ms

    def _queued_of(self, owner: str, now_ms: int) -> Iterator[Record]:
        ids = [id_of(each) for each in self._open_keys(owner, now_ms)]
        posts = self._tables.all("posts", ids)
        return (post for post in posts if is_visible(post, now_ms) and state_at(post, now_ms).status == QUEUED)

    def _waiting(self, owner: str, now_ms: int) -> list[Record]:
        """Return the posts of an owner that wait for approval, or were canceled while they did."""
        ids = map(id_of, self._scan(f"{owner}:waiting"))
        return [post for post in self._tables.all("posts", ids) if not is_visible(post, now_ms)]

    def _page(self, listing: "_Listing", limit: int) -> Page:
        if listing.wanted == frozenset(STATUSES):
            return self._ended(listing, limit)
        parts = [self._ended(listing.only(status), limit + 1).documents for status in listing.wanted.intersection(ENDS)]
        parts.append(self._open(listing.only(QUEUED, PUBLISHING), limit + 1))
        found = sorted((post for part in parts for post in part), key=sort_key, reverse=True)
        return Page(found[:limit], sort_key(found[limit - 1]) if len(found) > limit else None)

    def _ended(self, listing: "_Listing", limit: int) -> Page:
        indexes = [f"{listing.owner}:{status}" for status in listing.wanted.intersection(ENDS)]
        return self._tables.page("posts", indexes, listing.before, limit, listing.has, listing.since)

    def _open(self, listing: "_Listing", limit: int) -> list[Record]:
        """Return the queued and publishing posts of a listing, reading no document of the others."""
        if not listing.wanted:
            return []
        keys = (key.split(":") for key in self._open_keys(listing.owner, listing.now_ms))
        now = at_or_after(listing.now_ms)
        places = [place for _, start, place in keys if (QUEUED if start > now else PUBLISHING) in listing.wanted]
        ids = map(id_of, sorted((key for key in places if listing.since <= key < listing.before), reverse=True))
        return list(islice(filter(listing.has, self._tables.all("posts", ids)), limit))

    def _open_keys(self, owner: str, now_ms: int) -> Iterator[str]:
        """Yield the entries of the posts that have not ended, the last to end first."""
        return takewhile(lambda key: key >= at_or_after(now_ms + 1), self._scan(f"{owner}:open"))

    def _scan(self, index: str) -> Iterator[str]:
        before = None
        while sort_keys := self._tables.db.scan("posts", self._tables.organization, index, before, _AT_ONCE):
            yield from sort_keys
            before = sort_keys[-1]

    def _now_ms(self) -> int:
        return epoch_milliseconds(self._tables.now())


class _Listing(NamedTuple):
    """A request for a list of posts, with sort keys from `since` on and below `before`."""

    project_id: str
    owner: str
    wanted: frozenset[str]
    since: str
    before: str
    now_ms: int

    def has(self, post: Record) -> bool:
        return (
            post["projectId"] == self.project_id
            and is_visible(post, self.now_ms)
            and state_at(post, self.now_ms).status in self.wanted
        )

    def only(self, *statuses: str) -> "_Listing":
        """Return the part with these statuses. Posts that have ended are of the past, except for canceled ones."""
        wanted = self.wanted.intersection(statuses)
        is_past = wanted.issubset((PUBLISHED, DRAFT, FAILED))
        before = min(self.before, at_or_after(self.now_ms + 1)) if is_past else self.before
        return self._replace(wanted=wanted, before=before)
