"""The consent of a person to install the GitHub App: the flow behind `installUrl`."""

from collections.abc import Mapping

from layers_standin.console.consent import Question
from layers_standin.domain.github import expiry, installation_id_for
from layers_standin.engines.table import Record
from layers_standin.web.return_urls import with_query
from store import Store


class GitHubConsent:
    """A `ConsentFlow`: a yes sends the installation's id back. Nothing is kept: the client registers it."""

    def question(self, store: Store, state: str) -> Question:
        """Return the question of a state. Raises NotFound."""
        document = store.github.state(state)
        return Question(
            title="Install the Layers app on GitHub",
            asker=store.organizations.get(store.organization)["name"],
            allows=["read the code of its repositories", "open pull requests"],
            note=None,
            return_url=document["returnUrl"],
            sent={"installation_id": "a number", "state": state},
            ended_url=_refused(document) if store.now() >= expiry(document) else None,
        )

    def answer(self, store: Store, state: str, is_allowed: bool, _: Mapping[str, str]) -> str:
        """Return the client's URL, with the id of the installation if it is allowed. Raises NotFound."""
        document = store.github.state(state)
        if not is_allowed or store.now() >= expiry(document):
            return _refused(document)
        installation_id = str(installation_id_for(store.organization))
        return with_query(document["returnUrl"], installation_id=installation_id, state=state)


def _refused(document: Record) -> str:
    return with_query(document["returnUrl"], error="access_denied", state=document["state"])
