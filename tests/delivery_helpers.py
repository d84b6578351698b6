"""Webhook endpoints and deliveries without a receiver, as the store has them."""

from layers_standin.conform.bodies import HOOK as URL
from layers_standin.domain.events import TYPES
from layers_standin.engines.table import Record
from layers_standin.openapi import examples
from layers_standin.services import Services
from store import Store

BASE_URL = "http://stand-in.example"


def made_endpoint(own: Store, project: str | None = None, **fields: object) -> Record:
    """Put an endpoint that listens to everything, of a project or of all; return its document."""
    endpoint = own.endpoints.create(project, {"url": URL, "events": list(TYPES)}, BASE_URL) | fields
    own.endpoints.put(endpoint)
    return endpoint


def made_delivery(own: Store) -> tuple[Record, Record]:
    """Put an endpoint, and a delivery to it that is due; return both documents."""
    endpoint = made_endpoint(own)
    return endpoint, own.deliveries.send(endpoint, "test.ping", {"n": 0})


def plant_webhooks(rooms: Services) -> None:
    """Put the endpoint and the delivery of the examples into a seeded store, and another of each."""
    own = rooms.store.for_organization(examples.ORGANIZATION)
    endpoint, delivery = made_delivery(own)
    own.endpoints.put(endpoint | {"id": examples.ENDPOINT, "sortKey": examples.ENDPOINT})
    for delivery_id in (examples.DELIVERY, f"{examples.DELIVERY[:-1]}0"):
        ids = {"id": delivery_id, "sortKey": delivery_id, "endpointId": examples.ENDPOINT}
        own.deliveries.put(delivery | ids)
