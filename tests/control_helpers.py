"""What the tests of the control plane share: how to command, and an organization of one's own."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from layers_standin.engines.table import Record

ROOT = "/_standin"


class Control:
    """Commands a service through a client of Flask's; each returns the reply of a request that must work."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def send(
        self, method: str, path: str, body: Any = None, query: Record | None = None, **headers: str
    ) -> TestResponse:
        """Send any request; return the response, whatever it is."""
        content = {} if body is None else {"json": body}
        return self._client.open(f"{ROOT}{path}", method=method, query_string=query, headers=headers, **content)

    def get(self, path: str, **query: Any) -> Record:
        return _worked(self.send("GET", path, query=query))

    def put(self, path: str, **body: Any) -> Record:
        return _worked(self.send("PUT", path, body))

    def post(self, path: str, **body: Any) -> Record:
        return _worked(self.send("POST", path, body))

    def delete(self, path: str, **query: Any) -> Record:
        return _worked(self.send("DELETE", path, query=query))

    def organization(self, **body: Any) -> tuple[str, dict[str, str]]:
        """Return the id of a new organization, and the headers of its key."""
        made = self.post("/organizations", **body)
        return made["organizationId"], {"X-Api-Key": made["apiKey"]}


def _worked(response: TestResponse) -> Record:
    assert response.status_code in (200, 201), response.text
    return dict(response.json)
