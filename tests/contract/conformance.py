"""Whether responses are what the OpenAPI document says: status, headers and body."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import document
from layers_standin.conform.document import resolved, schema_errors
from layers_standin.openapi.headers import HEADERS

_OURS = set(HEADERS)
_CLASS = "X-RateLimit-Endpoint-Class"


class Conformance:
    """A document, and the questions that can be put to it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._told = resolved(document["paths"], document)
        self._paths = [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), path) for path in document["paths"]]

    def operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        """Return what is told of a request, None when it is of no operation."""
        known = next((known for pattern, known in self._paths if pattern.fullmatch(path)), None)
        return None if known is None else self._told[known].get(method.lower())

    def schema_faults(self, value: Any, schema: Mapping[str, Any]) -> list[str]:
        """Return what of a value is not as its schema in the document says."""
        errors = schema_errors(self._document, value, schema)
        return [f"{error.json_path}: {error.message}" for error in errors]

    def faults(self, method: str, path: str, response: TestResponse) -> list[str]:
        """Return what of a response is not as the document says; nothing for a request of no operation."""
        operation = self.operation(method, path)
        if operation is None:
            return []
        told = operation["responses"].get(str(response.status_code))
        if told is None:
            return [f"status {response.status_code} is not told"]
        success = next(each for status, each in operation["responses"].items() if int(status) < 300)
        headers = told["headers"] | {_CLASS: success["headers"][_CLASS]}  # errors are told for all classes together
        return [*self._header_faults(response, headers), *self._body_faults(response, told)]

    def _header_faults(self, response: TestResponse, headers: Mapping[str, Any]) -> Iterator[str]:
        for name, header in headers.items():
            if name in response.headers:
                yield from self.schema_faults(_decoded(response.headers[name], header), header["schema"])
            elif header["required"]:
                yield f"header {name} is missing"
        for name in _OURS - set(headers):
            if name in response.headers:
                yield f"header {name} is not told"

    def _body_faults(self, response: TestResponse, told: Mapping[str, Any]) -> Iterator[str]:
        content = told.get("content", {}).get(response.mimetype)
        if content is not None:
            yield from self.schema_faults(response.json, content["schema"])
        elif response.data and not _is_file(response.mimetype, told):
            yield f"a body of type {response.mimetype} is not told"


def _decoded(text: str, header: Mapping[str, Any]) -> str | int:
    return int(text) if header["schema"].get("type") == "integer" else text


def _is_file(mimetype: str, told: Mapping[str, Any]) -> bool:
    return any(fnmatch(mimetype, wanted) for wanted in told.get("content", {}))


class ToldClient(FlaskClient):
    """A client that takes no response of another status, header or form than the document tells."""

    told = Conformance(document("http://localhost"))

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        asked = response.request
        assert self.told.faults(asked.method, asked.environ["PATH_INFO"], response) == []
        return response
