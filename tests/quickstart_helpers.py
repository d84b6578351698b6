"""An installation of the GitHub App without a consent, as the store has it."""

from layers_standin.conform.bodies import INSTALLATION
from layers_standin.domain.github import new_installation
from layers_standin.openapi import examples
from layers_standin.services import Services
from store import Store

_DAY_MS = 86_400_000


def made_installation(own: Store, state: str) -> None:
    """Put an installation that has the repositories above, and a state to register another one with."""
    document = new_installation(own.organizations.get(own.organization), 1, own.now()) | INSTALLATION
    own.tables.put("github_installations", document)
    own.github.begin(state, "http://localhost/")


def plant_installation(rooms: Services) -> None:
    """Put into a seeded store the installation and the state of the examples, good for a day."""
    own = rooms.store.for_organization(examples.ORGANIZATION)
    organization = own.organizations.get(own.organization)
    own.tables.put("github_installations", new_installation(organization, examples.INSTALLATION, own.now()))
    state = own.github.begin(examples.STATE, "http://localhost/")
    own.tables.put("github_states", state | {"createdMs": state["createdMs"] + _DAY_MS})
