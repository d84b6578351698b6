"""The signed URLs of consent pages: made by operations, read by `console/consent.py`."""

from itsdangerous import BadSignature, URLSafeSerializer

from layers_standin.domain.errors import NotFound
from store import Store

CONSENT_PATH = "/consent/<signature>"


def consent_url(store: Store, flow: str, state: str, base_url: str) -> str:
    """Return the URL of the page for a state of an organization's flow; `base_url` has no slash at its end."""
    return f"{base_url}/consent/{_serializer(store).dumps([flow, store.organization, state])}"


def read_signature(store: Store, signature: str) -> tuple[str, str, str]:
    """Return (flow, organization, state) of a signed path. Raises NotFound."""
    try:
        flow, organization, state = _serializer(store).loads(signature)
    except BadSignature as error:
        raise NotFound("There is no such page.") from error
    return flow, organization, state


def _serializer(store: Store) -> URLSafeSerializer:
    return URLSafeSerializer(store.signing_key(), salt="consent")
