"""The fields of `schemas.py` as JSON Schema, for apispec."""

import re
from collections.abc import Callable
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow.fields import Field

import schemas
from layers_standin import fields
from layers_standin.openapi.json_schema import JsonSchema

_BASE64 = "^(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?$"

_TYPES: dict[type[Field[Any]], str] = {
    fields.Text: "string",
    fields.Base64: "string",
    fields.Integer: "integer",
    fields.Array: "array",
    fields.Metadata: "object",
}
# The rules of a field by its kind; a rule of None is none.
_RULES: dict[type[Field[Any]], Callable[[Any], JsonSchema]] = {
    fields.Text: lambda field: {"minLength": field.min or None, "maxLength": field.max},
    fields.Choice: lambda field: {"enum": list(field.choices)},
    fields.Pattern: lambda field: {"pattern": _pattern(field.form)},
    fields.Array: lambda field: {"minItems": field.min or None, "maxItems": field.max},
    fields.Integer: lambda field: {"minimum": field.min, "maximum": field.max},
    fields.Base64: lambda field: {
        "contentEncoding": "base64",
        "pattern": _BASE64,
        "minLength": 1,
        "maxLength": -(-(field.below - 1) // 3) * 4,  # each group of three bytes, begun or whole, is four characters
    },
}


class Fields(MarshmallowPlugin):
    """apispec's plugin for marshmallow, extended by our fields and the rules of whole schemas."""

    def init_spec(self, spec: APISpec) -> None:
        super().init_spec(spec)
        for kind, json_type in _TYPES.items():
            self.map_to_openapi_type(kind, json_type, None)  # type: ignore[no-untyped-call]
        if self.converter is not None:
            self.converter.add_attribute_function(_rules)  # type: ignore[no-untyped-call]

    # The ignore: the two bases of apispec name the second argument differently.
    def schema_helper(self, name: str, definition: Any, schema: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Return a schema as JSON Schema, with its docstring and its rules as a whole; None for other classes."""
        found = super().schema_helper(name, definition, schema=schema, **kwargs)  # type: ignore[no-untyped-call]
        if not isinstance(schema, schemas.Strict):
            return found
        return {"description": type(schema).__doc__} | found | dict(schema.json_schema)


def _rules(converter: OpenAPIConverter, field: Field[Any], **_: Any) -> JsonSchema:
    """Return the rules of a field beside its type; apispec calls this for every field, as its own method."""
    of_kinds = [rules(field) for kind, rules in _RULES.items() if isinstance(field, kind)]
    found = {name: value for rules in of_kinds for name, value in rules.items() if value is not None}
    found |= getattr(field, "json_schema", {})  # the own rules of a field of another module, as of a schema
    if isinstance(field, fields.Array):
        found["items"] = converter.field2property(field.inner)
    if field.allow_none and "enum" in found:
        found["enum"] = [*found["enum"], None]
    return found


def _pattern(form: re.Pattern[str] | Callable[[str], object]) -> str | None:
    """Return a regular expression as a pattern; the field of a function has a format in its metadata."""
    return f"^(?:{form.pattern})$" if isinstance(form, re.Pattern) else None
