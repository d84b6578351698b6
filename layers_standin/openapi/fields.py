"""What the fields of `schemas.py` accept, as JSON Schema, told to apispec."""

import re
from collections.abc import Callable
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow.fields import Field

import layers_standin.fields
import schemas

_BASE64 = "^(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?$"

JsonSchema = dict[str, Any]


class Fields(MarshmallowPlugin):
    """apispec's plugin for marshmallow that knows our own fields, and what a schema demands as a whole."""

    def init_spec(self, spec: APISpec) -> None:
        super().init_spec(spec)
        for kind, json_type in _TYPES.items():
            self.map_to_openapi_type(kind, json_type, None)  # type: ignore[no-untyped-call]
        if self.converter is not None:
            self.converter.add_attribute_function(_bounds)  # type: ignore[no-untyped-call]

    # The ignore: the two bases of apispec differ in what they call the second argument.
    def schema_helper(self, name: str, definition: Any, schema: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Return a schema as JSON Schema, with its docstring and what its validators demand; of no schema, None."""
        found = super().schema_helper(name, definition, schema=schema, **kwargs)  # type: ignore[no-untyped-call]
        if not isinstance(schema, schemas.Strict):
            return found
        return {"description": type(schema).__doc__} | found | dict(schema.json_schema)


def _bounds(converter: OpenAPIConverter, field: Field[Any], **_: Any) -> JsonSchema:
    """Return what a field of ours demands beside its type; apispec calls this for every field, as its own method."""
    of_kind = [tell(field) for kind, tell in _TELL.items() if isinstance(field, kind)]
    told = {name: value for facts in of_kind for name, value in facts.items() if value is not None}
    told |= getattr(field, "json_schema", {})  # a field from elsewhere tells it itself, as a schema does of the whole
    if isinstance(field, schema_fields.Array):
        told["items"] = converter.field2property(field.inner)
    if field.allow_none and "enum" in told:
        told["enum"] = [*told["enum"], None]
    return told


def _text(field: schema_fields.Text) -> JsonSchema:
    return {"minLength": field.least or None, "maxLength": field.most}


def _form(field: schema_fields.Matching) -> JsonSchema:
    """Return the pattern of a form that is one; the others have a format in their metadata."""
    return {"pattern": f"^(?:{field.form.pattern})$"} if isinstance(field.form, re.Pattern) else {}


def _array(field: schema_fields.Array) -> JsonSchema:
    return {"minItems": field.least or None, "maxItems": field.most}


def _whole(field: schema_fields.Whole) -> JsonSchema:
    return {"minimum": field.least, "maximum": field.most}


def _base64(field: schema_fields.Base64) -> JsonSchema:
    """Return the form of fewer than `below` bytes; every three of them, begun or whole, are four characters."""
    most = -(-(field.below - 1) // 3) * 4
    return {"contentEncoding": "base64", "pattern": _BASE64, "minLength": 1, "maxLength": most}


_TYPES: dict[type[Field[Any]], str] = {
    schema_fields.Text: "string",
    schema_fields.Base64: "string",
    schema_fields.Whole: "integer",
    schema_fields.Array: "array",
    schema_fields.Metadata: "object",
}
_TELL: dict[type[Field[Any]], Callable[[Any], JsonSchema]] = {
    schema_fields.Text: _text,
    schema_fields.Choice: lambda field: {"enum": list(field.choices)},
    schema_fields.Matching: _form,
    schema_fields.Array: _array,
    schema_fields.Whole: _whole,
    schema_fields.Base64: _base64,
}
