"""The consent of a person to publish on a social account: the flow behind `authorizeUrl`."""

from collections.abc import Mapping

from layers_standin.console.consent import Field, Question
from layers_standin.domain.social import COMPLETED, HANDLE, PENDING, handle_for, state_status
from layers_standin.engines.table import Record
from layers_standin.web.errors import Invalid
from layers_standin.web.return_urls import with_query
from store import Store

PLATFORM_NAMES = {"tiktok": "TikTok", "instagram": "Instagram"}


class SocialConsent:
    """A `ConsentFlow`: with a yes, the person's account belongs to the project."""

    def question(self, store: Store, state: str) -> Question:
        """Return the question of an OAuth state. Raises NotFound."""
        document = store.social.state(state)
        project = store.projects.get(document["projectId"])
        return Question(
            title=f"Connect a {PLATFORM_NAMES[document['platform']]} account",
            asker=project["name"],
            allows=["publish posts", "save drafts on the device", *document["scopes"]],
            note=document["usageNote"],
            return_url=document["returnUrl"],
            sent={"layers_state": state, "status": "success, or failed"},
            ended_url=None if state_status(document, store.now()) == PENDING else _end_url(store, document),
            field=Field("handle", "Handle of the account", handle_for(project["name"]), HANDLE.pattern),
        )

    def answer(self, store: Store, state: str, is_allowed: bool, form: Mapping[str, str]) -> str:
        """Connect the account `handle` of the form, or one named like the project. Raises NotFound, Invalid."""
        document = store.social.state(state)
        handle = form.get("handle") or handle_for(store.projects.get(document["projectId"])["name"])
        if is_allowed and not HANDLE.fullmatch(handle):
            raise Invalid(fieldErrors={"handle": ["Must be 1 to 30 of 0-9, a-z, . and _"]})
        document = store.social.answer(state, handle if is_allowed else None)
        if document["socialAccountId"] is not None:
            store.posts.set_reauth(document["socialAccountId"], is_required=False)
        return _end_url(store, document)


def _end_url(store: Store, document: Record) -> str:
    """Return the client's URL with the state and its end."""
    status = "success" if state_status(document, store.now()) == COMPLETED else "failed"
    return with_query(document["returnUrl"], layers_state=document["state"], status=status)
