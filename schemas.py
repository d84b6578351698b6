"""What a client may send. Strict at every level, all faults at once, in the words of the real service's validator.

A schema's `load` returns plain values or raises marshmallow's ValidationError; `details` turns its messages into
the `fieldErrors` and `formErrors` of the contract.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.exceptions import SCHEMA

MAX_ASSET_IDS = 20

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MINTED_ASSET = re.compile(r"(asset|med)_[0-9A-Za-z-]{1,64}")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")

GENDERS = ("male", "female", "nonbinary", "unspecified")


def type_name(value: object) -> str:
    """Return what JSON calls the type of a decoded value."""
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def wrong_type(expected: str, value: object) -> str:
    return f"Expected {expected}, received {type_name(value)}"


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


class _Strict:
    """What every field here has in common: no conversions, and a null is a value of the wrong type."""

    json_type = "string"

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        if value is None and not self.allow_none:  # type: ignore[attr-defined]
            raise ValidationError(wrong_type(self.json_type, value))
        return super().deserialize(value, attr, data, **kwargs)  # type: ignore[misc]


class Text(_Strict, fields.Field[str]):
    """A string of `least` to `most` code points, kept exactly as sent."""

    default_error_messages = {"required": "Required"}

    def __init__(self, *, least: int = 0, most: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError(wrong_type("string", value))
        if len(value) < self.least:
            raise ValidationError(f"String must contain at least {self.least} character(s)")
        if self.most is not None and len(value) > self.most:
            raise ValidationError(f"String must contain at most {self.most} character(s)")
        return value


class Choice(Text):
    """One of a few strings."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text not in self.choices:
            raise ValidationError("Invalid enum value")
        return text


class AssetId(Text):
    """A UUID, or `asset_` or `med_` and up to 64 letters, digits and hyphens."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not is_uuid(text) and not _MINTED_ASSET.fullmatch(text):
            raise ValidationError("Invalid uuid")
        return text


class Array(_Strict, fields.Field[list[Any]]):
    """A list of `least` to `most` items; the faults of its items are reported beside its own."""

    json_type = "array"
    default_error_messages = {"required": "Required"}

    def __init__(self, inner: fields.Field[Any], *, least: int = 0, most: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.least, self.most = inner, least, most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValidationError(wrong_type("array", value))
        faults: dict[str | int, list[Any]] = {}
        if own := list(self._size_faults(len(value))):
            faults[SCHEMA] = own
        for index, item in enumerate(value):
            try:
                self.inner.deserialize(item)
            except ValidationError as error:
                faults[index] = [error.messages]
        if faults:
            raise ValidationError(faults)
        return value

    def _size_faults(self, size: int) -> Iterator[str]:
        if size < self.least:
            yield f"Array must contain at least {self.least} element(s)"
        if self.most is not None and size > self.most:
            yield f"Array must contain at most {self.most} element(s)"


class Object(_Strict, fields.Nested):
    """An object with a schema of its own."""

    json_type = "object"
    default_error_messages = {"required": "Required"}


class Strict(Schema):
    """Base of every schema: unknown fields are faults, at every level."""

    error_messages = {"unknown": "Unrecognized key"}

    class Meta:
        unknown = RAISE

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        if not isinstance(data, dict):
            raise ValidationError(wrong_type("object", data))


class PersonalityPatch(Strict):
    """Personality keys to set; null removes one."""

    traits = Array(Text(), allow_none=True)
    values = Array(Text(), allow_none=True)
    interests = Array(Text(), allow_none=True)
    catchphrases = Array(Text(), allow_none=True)
    tone = Text(allow_none=True)
    humor = Text(allow_none=True)
    formality = Text(allow_none=True)
    speakingStyle = Text(allow_none=True)


class InfluencerPatch(Strict):
    """PATCH: at least one field; null clears it, but neither the name nor the personality as a whole."""

    name = Text(least=1, most=128)
    gender = Choice(*GENDERS, allow_none=True)
    ageRange = Text(most=16, allow_none=True)
    ethnicity = Text(most=128, allow_none=True)
    bodyType = Text(most=128, allow_none=True)
    hairColor = Text(most=64, allow_none=True)
    hairStyle = Text(most=128, allow_none=True)
    style = Text(most=256, allow_none=True)
    vibe = Text(most=256, allow_none=True)
    voiceDescription = Text(most=1024, allow_none=True)
    personality = Object(PersonalityPatch)

    @validates_schema
    def _not_empty(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("At least one field is required")


class InfluencerDeletion(Strict):
    """DELETE: why, for the audit trail."""

    reason = Text(most=1024)


class ReferenceImages(Strict):
    """reference-images: which assets to attach."""

    assetIds = Array(AssetId(), least=1, most=MAX_ASSET_IDS, required=True)


class IdempotencyHeader(Strict):
    """The header `Idempotency-Key`, if sent."""

    key = Text(least=1, most=255, data_key="Idempotency-Key")

    @post_load
    def _printable(self, data: dict[str, str], **_: Any) -> dict[str, str]:
        if not _PRINTABLE.fullmatch(data.get("key", "")):
            raise ValidationError("Invalid", "Idempotency-Key")
        return data


def details(*errors: ValidationError) -> dict[str, Any]:
    """Return the contract's details: fieldErrors always, formErrors only where there are any."""
    field_errors: dict[str, list[str]] = {}
    form_errors: list[str] = []
    for error in errors:
        for name, faults in _by_field(error).items():
            if name == SCHEMA:
                form_errors += faults
            else:
                field_errors.setdefault(name, []).extend(_sentences(faults))
    return {"fieldErrors": field_errors} | ({"formErrors": form_errors} if form_errors else {})


def _by_field(error: ValidationError) -> dict[str, Any]:
    messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return messages


def _sentences(faults: Any, path: str | None = None) -> Iterator[str]:
    """Yield the messages of one top-level field, what is nested with its path before it."""
    if isinstance(faults, str):
        yield faults if path is None else f"{path}: {faults}"
    elif isinstance(faults, list):
        for fault in faults:
            yield from _sentences(fault, path)
    else:
        for name, nested in faults.items():
            inner = str(name) if path is None else f"{path}.{name}"
            yield from _sentences(nested, path if name == SCHEMA else inner)
