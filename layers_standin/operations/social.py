"""Social accounts: the operations that list, connect and disconnect them."""

from layers_standin.domain.keys import SOCIAL_READ, SOCIAL_WRITE
from layers_standin.domain.posts import of_account
from layers_standin.domain.social import DISCONNECTED, account_view, disconnection_view, expiry, state_view
from layers_standin.domain.times import seconds
from layers_standin.engines.table import Record
from layers_standin.operations.social_schemas import OauthUrl, SocialAccountQuery
from layers_standin.web.consent_urls import consent_url
from layers_standin.web.operations import Call, Operations
from layers_standin.web.return_urls import check_return_url
from schemas import EmptyBody

operations = Operations()

CONSENT = "social"  # the name of the flow of consents

_PROJECT = "/v1/projects/<project_id>"


@operations.add("GET", f"{_PROJECT}/social-accounts", scope=SOCIAL_READ, query=SocialAccountQuery())
def list_social_accounts(call: Call, project_id: str) -> Record:
    """Return a page of a project's social accounts, disconnected ones included."""
    project = call.store.projects.get(project_id)
    accounts, cursor = call.store.social.page(project["id"], call.body)
    now, base_url = call.store.now(), call.base_url()
    return {"items": [account_view(account, now, base_url) for account in accounts], "nextCursor": cursor}


@operations.add("POST", f"{_PROJECT}/social/oauth-url", scope=SOCIAL_WRITE, body=OauthUrl())
def create_oauth_url(call: Call, project_id: str) -> Record:
    """Begin to connect an account; return the URL of the page on which its owner allows it."""
    check_return_url(call.body["returnUrl"], call.services.settings)
    project = call.store.projects.get(project_id)
    state = call.store.social.begin(project["id"], call.key["apiKeyId"], call.body)
    return {
        "authorizeUrl": consent_url(call.store, CONSENT, state["state"], call.base_url()),
        "state": state["state"],
        "expiresAt": seconds(expiry(state)),
    }


@operations.add("GET", "/v1/social/oauth-status/<state>", scope=SOCIAL_READ)
def get_oauth_status(call: Call, state: str) -> Record:
    """Return whether the account was connected; only for the key that asked."""
    return state_view(call.store.social.state_of_key(state, call.key["apiKeyId"]), call.store.now())


@operations.add(
    "DELETE", "/v1/social-accounts/<social_account_id>", scope=SOCIAL_WRITE, body=EmptyBody(), body_optional=True
)
def delete_social_account(call: Call, social_account_id: str) -> Record:
    """Disconnect a social account, and cancel its queued posts."""
    account = call.store.social.set_status(social_account_id, DISCONNECTED)
    canceled = call.store.posts.cancel_all(of_account(account["socialAccountId"]))
    return disconnection_view(account, canceled)
