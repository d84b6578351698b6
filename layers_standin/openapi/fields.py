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

_BASE64 = "^(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?$"

JsonSchema = dict[str, Any]


class Fields(MarshmallowPlugin):
    """apispec's plugin for marshmallow, extended by our fields and the rules of whole schemas."""

    def init_spec(self, spec: APISpec) -> None:
        super().init_spec(spec)
        for kind, json_type in _TYPES.items():
            self.map_to_openapi_type(kind, json_type, None)  # type: ignore[no-untyped-call]
        if self.converter is not None:
            self.converter.add_attribute_function(_bounds)  # type: ignore[no-untyped-call]

    # The ignore: the two bases of apispec name the second argument differently.
    def schema_helper(self, name: str, definition: Any, schema: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Return a schema as JSON Schema, with its docstring and its rules as a whole; None for other classes."""
        found = super().schema_helper(name, definition, schema=schema, **kwargs)  # type: ignore[no-untyped-call]
        if not isinstance(schema, schemas.Strict):
            return found
        return {"description": type(schema).__doc__} | found | dict(schema.json_schema)


def _bounds(converter: OpenAPIConverter, field: Field[Any], **_: Any) -> JsonSchema:
    """Return the rules of a field beside its type; apispec calls this for every field, as its own method."""
    of_kind = [tell(field) for kind, tell in _TELL.items() if isinstance(field, kind)]
    told = {name: value for facts in of_kind for name, value in facts.items() if value is not None}
    told |= getattr(field, "json_schema", {})  # the own rules of a field of another module, as of a schema
    if isinstance(field, fields.Array):
        told["items"] = converter.field2property(field.inner)
    if field.allow_none and "enum" in told:
        told["enum"] = [*told["enum"], None]
    return told


def _text(field: fields.Text) -> JsonSchema:
    return {"minLength": field.min or None, "maxLength": field.max}


def _form(field: fields.Pattern) -> JsonSchema:
    """Return the pattern of a field with a regular expression; the others have a format in their metadata."""
    return {"pattern": f"^(?:{field.form.pattern})$"} if isinstance(field.form, re.Pattern) else {}


def _array(field: fields.Array) -> JsonSchema:
    return {"minItems": field.min or None, "maxItems": field.max}


def _whole(field: fields.Integer) -> JsonSchema:
    return {"minimum": field.min, "maximum": field.max}


def _base64(field: fields.Base64) -> JsonSchema:
    """Return the rules for fewer than `below` bytes; each group of three, begun or whole, is four characters."""
    most = -(-(field.below - 1) // 3) * 4
    return {"contentEncoding": "base64", "pattern": _BASE64, "minLength": 1, "maxLength": most}


_TYPES: dict[type[Field[Any]], str] = {
    fields.Text: "string",
    fields.Base64: "string",
    fields.Integer: "integer",
    fields.Array: "array",
    fields.Metadata: "object",
}
_TELL: dict[type[Field[Any]], Callable[[Any], JsonSchema]] = {
    fields.Text: _text,
    fields.Choice: lambda field: {"enum": list(field.choices)},
    fields.Pattern: _form,
    fields.Array: _array,
    fields.Integer: _whole,
    fields.Base64: _base64,
}
