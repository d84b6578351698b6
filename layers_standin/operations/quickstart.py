"""The operations of a partner's first script: the GitHub installation, its repositories, and ingests."""

from functools import partial

from layers_standin.domain.brands import brand_of_repository, brand_of_url
from layers_standin.domain.github import expiry, installation_view
from layers_standin.domain.ingest import GITHUB, WEBSITE
from layers_standin.domain.jobs import envelope_view
from layers_standin.domain.keys import GITHUB_ADMIN, INGEST_WRITE
from layers_standin.domain.schedules import OPENING_PR
from layers_standin.domain.times import seconds
from layers_standin.engines.table import Record
from layers_standin.operations import quickstart_schemas as schemas
from layers_standin.web.consent_urls import consent_url
from layers_standin.web.operations import LONG_RUNNING, Call, Operations
from layers_standin.web.return_urls import check_return_url

operations = Operations()

CONSENT = "github"  # the name of the flow of consents

_INSTALLATION = "/v1/github/installation"
_INGEST = "/v1/projects/<project_id>/ingest"


@operations.add("GET", f"{_INSTALLATION}/install-url", scope=GITHUB_ADMIN, query=schemas.InstallUrlQuery())
def get_install_url(call: Call) -> Record:
    """Return the URL of the page on which somebody installs the GitHub App."""
    check_return_url(call.body["returnUrl"], call.services.settings)
    state = call.store.github.begin(call.body.get("state"), call.body["returnUrl"])
    url = consent_url(call.store, CONSENT, state["state"], call.base_url())
    return {"authUrl": url, "installUrl": url, "state": state["state"], "expiresAt": seconds(expiry(state))}


@operations.add("POST", _INSTALLATION, scope=GITHUB_ADMIN, body=schemas.InstallationRegistration(), success=201)
def register_installation(call: Call) -> Record:
    """Register the installation of the GitHub App, in the place of any other."""
    organization = call.store.organizations.get(call.store.organization)
    return installation_view(call.store.github.register(organization, call.body["installationId"], call.body["state"]))


@operations.add("GET", _INSTALLATION, scope=GITHUB_ADMIN)
def get_installation(call: Call) -> Record:
    """Return the organization's installation of the GitHub App."""
    document = call.store.github.installation()
    return installation_view(document) | {"lastVerifiedAt": document["lastVerifiedAt"]}


@operations.add("GET", "/v1/github/repos", scope=GITHUB_ADMIN, query=schemas.RepositoryQuery())
def list_repositories(call: Call) -> Record:
    """Return a page of the installation's repositories, newest first."""
    items, cursor = call.store.github.page_of_repositories(call.body)
    return {"items": items, "nextCursor": cursor}


_begin = partial(operations.add, "POST", scope=INGEST_WRITE, success=202, endpoint_class=LONG_RUNNING)


@_begin(f"{_INGEST}/github", body=schemas.GitHubIngest())
def ingest_github(call: Call, project_id: str) -> Record:
    """Find out about a project's brand in a repository; return the job that does it."""
    project = call.store.projects.get(project_id)
    name = call.store.github.repository(call.body["repoFullName"])["fullName"]
    brand = brand_of_repository(name, project["primaryLanguage"])
    without = None if call.body.get("openPR", True) else OPENING_PR
    return envelope_view(call.store.begin_ingest(project_id, GITHUB, brand, without, repoFullName=name))


@_begin(f"{_INGEST}/website", body=schemas.WebsiteIngest())
def ingest_website(call: Call, project_id: str) -> Record:
    """Find out about a project's brand on a website, without a look at it; return the job that does it."""
    project = call.store.projects.get(project_id)
    brand = brand_of_url(call.body["url"], project["primaryLanguage"])
    return envelope_view(call.store.begin_ingest(project_id, WEBSITE, brand, None))
