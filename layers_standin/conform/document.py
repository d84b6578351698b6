"""What the OpenAPI document tells of an operation, and whether a value has the form that is told."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, FormatChecker, ValidationError

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

    @property
    def scope(self) -> str | None:
        """Return the scope that a key needs; None where any key will do, or none."""
        return next(
            (scope for way in self.facts.get("security", []) for named in way.values() for scope in named), None
        )

    def takes(self, where: str, name: str) -> bool:
        """Whether it has such a parameter in its query or headers."""
        return any((each["in"], each["name"]) == (where, name) for each in self.facts["parameters"])

    def form(self, status: int) -> Mapping[str, Any] | None:
        """Return the schema of the JSON of a reply, None where none is told."""
        content = self.facts["responses"].get(str(status), {}).get("content", {}).get(_JSON)
        return None if content is None else content["schema"]


def operations_of(document: Mapping[str, Any]) -> list[Told]:
    """Return all the operations of a document."""
    return [
        Told(method.upper(), path, facts)
        for path, methods in resolved(document["paths"], document).items()
        for method, facts in methods.items()
    ]


def resolved(part: Any, document: Mapping[str, Any]) -> Any:
    """Return a part of a document with what it refers to in it, but for schemas."""
    if isinstance(part, list):
        return [resolved(each, document) for each in part]
    if not isinstance(part, dict):
        return part
    if reference := re.fullmatch("#/components/(responses|parameters|headers)/(.+)", str(part.get("$ref"))):
        return resolved(document["components"][reference[1]][reference[2]], document)
    return {name: resolved(each, document) for name, each in part.items()}


def schema_errors(document: Mapping[str, Any], value: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    """Yield what of a value is not as its schema in the document says."""
    whole = {"components": document["components"], "allOf": [schema]}
    yield from Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)
