"""The installation of the GitHub App of an organization, and its repositories. Source: contract, section 9.

There is one installation at most; its repositories are made up, and the same each time. A state is what an install URL
was given to carry: {"state", "returnUrl", "createdMs"}.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from layers_standin.domain.cursors import read_cursor, write_cursor
from layers_standin.domain.errors import NotAcceptable, NotFound
from layers_standin.domain.ids import mint
from layers_standin.domain.tables import Tables
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, seconds
from layers_standin.engines.table import Record

STATE_LIFETIME = timedelta(minutes=15)
HOST = "https://github.example"  # a host that nobody can have, for the repositories are nobody's

_LANGUAGES = {
    "trail-notes": "TypeScript",
    "pocket-garden": "Swift",
    "night-market": "Kotlin",
    "slow-kitchen": "Dart",
    "tide-clock": "TypeScript",
    "open-studio": "Python",
    "paper-trail": "Ruby",
    "moon-runner": "Swift",
}
_COUNT = 5  # of repositories in an installation


def installation_id_for(organization: str) -> int:
    """Return the id that the page behind `installUrl` sends back: the same for an organization each time."""
    return 10_000_000 + _number(organization) % 90_000_000


def new_installation(organization: Mapping[str, Any], installation_id: int, now: datetime) -> Record:
    """Return the document of an installation that is registered now."""
    return {
        "organizationId": organization["id"],
        "installationId": installation_id,
        "login": re.sub("[^0-9a-z]+", "-", organization["name"].lower())[:39].strip("-") or "organization",
        "registeredAt": seconds(now),
        "lastVerifiedAt": seconds(now),
    }


def installation_view(document: Mapping[str, Any]) -> Record:
    """Return the reply of a registration."""
    return {
        "installationId": document["installationId"],
        "githubAccount": {"login": document["login"], "type": "Organization"},
        "orgLogin": document["login"],
        "status": "active",
        "registeredAt": document["registeredAt"],
    }


def repositories(installation: Mapping[str, Any]) -> list[Record]:
    """Return all repositories of an installation, newest first."""
    owner, mark = installation["login"], installation["installationId"]
    names = sorted(_LANGUAGES, key=lambda name: _number(f"{mark}/{name}"))[:_COUNT]
    return [_repository(owner, name, 500_000_000 + mark % 1_000_000 * 100 + 9 - at) for at, name in enumerate(names)]


def _repository(owner: str, name: str, repo_id: int) -> Record:
    return {
        "repoId": repo_id,
        "fullName": f"{owner}/{name}",
        "owner": owner,
        "private": repo_id % 3 != 0,
        "defaultBranch": "main",
        "language": _LANGUAGES[name],
        "primaryLanguage": _LANGUAGES[name],
        "htmlUrl": f"{HOST}/{owner}/{name}",
    }


def pull_request_url(full_name: str, job_id: str) -> str:
    """Return the URL of the pull request that a job opens."""
    return f"{HOST}/{full_name}/pull/{_number(job_id) % 900 + 1}"


def expiry(state: Mapping[str, Any]) -> datetime:
    return from_epoch_milliseconds(state["createdMs"]) + STATE_LIFETIME


def _number(text: str) -> int:
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:6])


class GitHub:
    """The installation of an organization, and the states of its install URLs."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._installations = tables.table("github_installations")
        self._states = tables.table("github_states")

    def begin(self, state: str | None, return_url: str) -> Record:
        """Return a state that begins now, made here unless given, and delete up to two old ones."""
        with self._tables.db.transaction():
            old_ms = epoch_milliseconds(self._tables.now() - STATE_LIFETIME)
            self._states.remove(doc_ids=self._tables.oldest("github_states", old_ms))
            document = {
                "state": state or mint("st"),
                "organizationId": self._tables.organization,
                "returnUrl": return_url,
                "createdMs": epoch_milliseconds(self._tables.now()),
            }
            self._states.upsert(document)
            return document

    def state(self, state: str) -> Record:
        """Return the document of a state, expired or not. Raises NotFound."""
        document = self._states.get(doc_id=state)
        if document is None:
            raise NotFound("State not found.")
        return document

    def register(self, organization: Mapping[str, Any], installation_id: int, state: str) -> Record:
        """Register the installation, in the place of another one, and return it. Raises NotAcceptable.

        One that is registered already keeps its time of registration, and the state may be an expired one: so a client
        that repeats its registration gets the same reply, however late.
        """
        now = self._tables.now()
        known = self._states.get(doc_id=state)
        current: Record = self._installations.get(doc_id=organization["id"]) or {}
        is_again = current.get("installationId") == installation_id
        # Old states are deleted in time, so the installation keeps the one that it was registered with last.
        is_known = known is not None or current.get("state") == state
        is_fresh = known is not None and now < expiry(known)
        if not (is_known and (is_again or is_fresh)):
            raise NotAcceptable("Invalid body.", fieldErrors={"state": ["Unknown or expired state"]})
        document = new_installation(organization, installation_id, now) | {"state": state}
        if is_again:
            document = current | {"state": state, "lastVerifiedAt": document["lastVerifiedAt"]}
        self._installations.upsert(document)
        return document

    def installation(self) -> Record:
        """Return the organization's installation. Raises NotFound."""
        document = self._installations.get(doc_id=self._tables.organization)
        if document is None:
            raise NotFound("No GitHub App installation is registered for this organization.")
        return document

    def repository(self, full_name: str) -> Record:
        """Return a repository of the installation; case does not count in its name. Raises NotFound."""
        wanted = full_name.casefold()
        found = [each for each in repositories(self.installation()) if each["fullName"].casefold() == wanted]
        if not found:
            raise NotFound("Repository not found.")
        return found[0]

    def page_of_repositories(self, query: Mapping[str, Any]) -> tuple[list[Record], str | None]:
        """Return (repositories, cursor), newest first. Raises NotFound, BadCursor."""
        installation, search = self.installation(), query.get("search", "")
        of = (self._tables.organization, "repositories", str(installation["installationId"]), search)
        before = read_cursor(query.get("cursor"), *of)
        found = [
            each
            for each in repositories(installation)
            if search.casefold() in each["fullName"].casefold() and (before is None or str(each["repoId"]) < before)
        ]
        page = found[: query["limit"]]
        return page, write_cursor(str(page[-1]["repoId"]) if len(found) > len(page) else None, *of)
