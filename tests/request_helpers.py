"""What the tests of requests share: the routes of an influencer, a secret that is wrong, and how to send once."""

from api_helpers import AVA_PICTURES
from conftest import AVA_PATH

from layers_standin.domain.keys import DEMO_KEY

IMAGES_PATH = f"{AVA_PATH}/reference-images"
DEMO_SECRET = DEMO_KEY.split("_", 3)[3]
WRONG_SECRET = DEMO_KEY[:-1] + "1"
ROUTES = [
    ("GET", "/v1/whoami", None),
    ("GET", AVA_PATH, None),
    ("PATCH", AVA_PATH, {"vibe": "x"}),
    ("DELETE", AVA_PATH, {"reason": "x"}),
    ("POST", IMAGES_PATH, {"assetIds": AVA_PICTURES[:1]}),
]
CHANGES = ROUTES[2:]


def sender(client, method, path, **options):
    """Return a function that sends a body under the Idempotency-Key `once`, or the one it is given."""

    def send(body, key="once"):
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return client.open(path, method=method, headers=options.get("headers", {}) | {"Idempotency-Key": key}, **sent)

    return send


def is_replay(response):
    return response.headers.get("Idempotent-Replayed") == "true"


def picture_url(rooms):
    (organization,) = rooms.store.organizations.all()
    return rooms.store.for_organization(organization["id"]).assets.get(AVA_PICTURES[0])["path"]
