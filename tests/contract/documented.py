"""What there is to prove: the operations as the OpenAPI document tells them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app import document
from contract.conformance import resolved

DOCUMENT = document("http://localhost")
_JSON = "application/json"


class Told(NamedTuple):
    """An operation of the document."""

    method: str
    path: str
    facts: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.facts["operationId"])

    @property
    def tag(self) -> str:
        return str(self.facts["tags"][0])

    @property
    def is_control(self) -> bool:
        return self.path.startswith("/_standin")

    @property
    def takes_body(self) -> bool:
        return _JSON in self.facts.get("requestBody", {}).get("content", {})

    @property
    def values(self) -> dict[str, str]:
        """Return the path parameters, as the document's example has them."""
        return {each["name"]: each.get("example", "x") for each in self.facts["parameters"] if each["in"] == "path"}

    @property
    def query(self) -> dict[str, str]:
        """Return the parameters that a query must have, as the document's example has them."""
        of_query = [each for each in self.facts["parameters"] if each["in"] == "query" and each.get("required")]
        return {each["name"]: each["schema"]["example"] for each in of_query}

    @property
    def bodies(self) -> list[Any]:
        """Return the example bodies; [None] where there is nothing to send."""
        content = self.facts.get("requestBody", {}).get("content", {}).get(_JSON, {})
        return [example["value"] for example in content.get("examples", {}).values()] or [None]

    @property
    def replies(self) -> list[str]:
        """Return the statuses that are no refusals."""
        return sorted(status for status in self.facts["responses"] if int(status) < 400)

    @property
    def refusals(self) -> dict[str, str]:
        """Return the status of each refusal by the name of its schema."""
        return {
            name: status
            for status, response in self.facts["responses"].items()
            if int(status) >= 400
            for name in response["content"][_JSON]["examples"]
        }

    @property
    def headers(self) -> set[str]:
        """Return the names of the headers that any of its responses may have."""
        return {name for response in self.facts["responses"].values() for name in response["headers"]}

    def takes(self, where: str, name: str) -> bool:
        """Whether it has such a parameter in its query or headers."""
        return any((each["in"], each["name"]) == (where, name) for each in self.facts["parameters"])


OPERATIONS = [
    Told(method.upper(), path, facts)
    for path, methods in resolved(DOCUMENT["paths"], DOCUMENT).items()
    for method, facts in methods.items()
]
BY_ID = {told.id: told for told in OPERATIONS}
