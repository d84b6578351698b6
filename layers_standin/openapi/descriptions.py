"""The words of the document, which are in descriptions.toml."""

import tomllib
from pathlib import Path
from typing import Any

from layers_standin.openapi.json_schema import JsonSchema

Json = dict[str, Any]

TEXTS: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
# By the name of a field, or by that of a schema and then of its field, which comes first.
_FIELDS: dict[str, Any] = TEXTS["fields"]


def describe_operation(name: str, *rules: str) -> str:
    """Return the description of an operation, the sentences of its rules at the end."""
    return " ".join([TEXTS["operations"][name].strip(), *rules]).strip()


def describe(document: Json) -> Json:
    """Return an OpenAPI document with a description for every field and parameter that has none."""
    components = document["components"]
    described = {
        "schemas": {name: _schema(schema, name) for name, schema in components["schemas"].items()},
        "parameters": {name: _field(name, each, "") for name, each in components["parameters"].items()},
    }
    for kind in ("schemas", "securitySchemes", "headers"):
        named = described.get(kind, components[kind])
        described[kind] = {name: each | _text(TEXTS[kind].get(name)) for name, each in named.items()}
    for methods in (*document["paths"].values(), *document["webhooks"].values()):
        for operation in methods.values():
            parameters = operation["parameters"]
            operation["parameters"] = [
                each if "$ref" in each else _field(each["name"], each, operation["operationId"]) for each in parameters
            ]
    return document | {"components": components | described}


def _schema(schema: JsonSchema, owner: str) -> JsonSchema:
    """Return the schema with described fields, those of its items and fields too; `owner` names the outermost one."""
    found = dict(schema)
    if "items" in found:
        found["items"] = _schema(found["items"], owner)
    if "properties" in found:
        properties = found["properties"].items()
        found["properties"] = {name: _field(name, _schema(field, owner), owner) for name, field in properties}
    return found


def _field(name: str, field: JsonSchema, owner: str) -> JsonSchema:
    return _text(_FIELDS.get(owner, {}).get(name) or _FIELDS.get(name)) | field


def _text(text: str | None) -> JsonSchema:
    return {} if text is None else {"description": text}
