"""The schemas of a client's bodies and queries. Strict at every level; all errors at once, worded as by Layers.

A schema's `load` returns plain values or raises marshmallow's ValidationError; `details` turns its messages into
the `fieldErrors` and `formErrors` of the contract.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, ClassVar
from zoneinfo import available_timezones

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, missing, post_load, validates_schema
from marshmallow.exceptions import SCHEMA

from layers_standin.domain.cursors import is_cursor
from layers_standin.fields import (
    MAX_ERRORS,
    Array,
    AssetId,
    Base64,
    Choice,
    InfluencerId,
    Integer,
    Metadata,
    Object,
    Pattern,
    QueryNumber,
    Text,
    bounded,
    wrong_type,
)

MAX_ASSET_IDS = 20
MAX_INLINE_BYTES = 262_144
FAMILIES = {"image/": ("image", "logo", "reference_image"), "video/": ("video",), "audio/": ("audio",)}
KINDS = tuple(kind for kinds in FAMILIES.values() for kind in kinds)
MAX_NAME = 128
MORE_ERRORS = "More errors are not listed"
MAX_SAFE_INTEGER = 2**53 - 1  # as far as every JSON number is a whole one

_PROJECT_ID = re.compile(r"[0-9A-Za-z_-]*")
# What Python takes for space, spelled out: the OpenAPI document tells these patterns, and JavaScript has another \s.
_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_EMAIL = re.compile(rf"[^@{_SPACE}]+@[^@{_SPACE}.]+(\.[^@{_SPACE}.]+)+")
_MIME_TYPE = re.compile(r"[0-9A-Za-z!#$&^_.+-]+/[0-9A-Za-z!#$&^_.+-]+")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")

# For the OpenAPI document: a function that validates a string has no description of its own.
_TIMEZONE = {"format": "iana-timezone", "description": "A name of the IANA's, such as `Europe/Lisbon`."}
_METADATA = {"description": "Anything, as long as it is at most 8192 bytes of JSON; replaced as a whole."}
CURSOR = {"format": "cursor", "description": "The `nextCursor` of the page before, of the same list."}

GENDERS = ("male", "female", "nonbinary", "unspecified")


@cache
def _timezones() -> set[str]:
    """Return the IANA's names of time zones; cached, because reading them opens every file of the database."""
    return available_timezones() - {"localtime"}  # a machine's own link, which no other knows


def _is_timezone(name: str) -> bool:
    return name in _timezones()


class Strict(Schema):
    """Base of every schema: unknown fields are errors, at every level."""

    error_messages = {"unknown": "Unrecognized key"}
    json_schema: ClassVar[Mapping[str, Any]] = {}  # the rules of the schema as a whole, for the OpenAPI document

    class Meta:
        unknown = RAISE

    def load_given(self, data: Any) -> Any:
        """Validate `data` as `load` does, but visit only its own fields, because most bodies have two of many."""
        if not isinstance(data, dict):
            return self.load(data)
        if len(data) > MAX_ERRORS:
            data = bounded(data, self.load_fields)
        return _narrowed(type(self), tuple(_fields_to_check(self, data))).load(data)

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        if not isinstance(data, dict):
            raise ValidationError(wrong_type("object", data))


def _fields_to_check(schema: Schema, data: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that can have an error in `data`, nested ones as `outer.inner`."""
    names = []
    for name, field in schema.load_fields.items():
        if name not in data:
            if field.required or field.load_default is not missing:
                names.append(name)
        elif isinstance(field, Object) and isinstance(data[name], dict):
            inner = _fields_to_check(field.schema, data[name])
            names += map(f"{name}.".__add__, inner) if inner else [name]
        else:
            names.append(name)
    return names


@lru_cache(512)
def _narrowed(kind: type[Schema], names: tuple[str, ...]) -> Schema:
    return kind(only=names)


class Patch(Strict):
    """Base of changes: at least one field."""

    json_schema = {"minProperties": 1}

    @validates_schema
    def _not_empty(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("At least one field is required")


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


class InfluencerPatch(Patch):
    """PATCH: at least one field; null clears it, but neither the name nor the personality as a whole."""

    name = Text(min=1, max=128)
    gender = Choice(*GENDERS, allow_none=True)
    ageRange = Text(max=16, allow_none=True)
    ethnicity = Text(max=128, allow_none=True)
    bodyType = Text(max=128, allow_none=True)
    hairColor = Text(max=64, allow_none=True)
    hairStyle = Text(max=128, allow_none=True)
    style = Text(max=256, allow_none=True)
    vibe = Text(max=256, allow_none=True)
    voiceDescription = Text(max=1024, allow_none=True)
    personality = Object(PersonalityPatch)


class InfluencerDeletion(Strict):
    """DELETE: the reason, for the audit trail."""

    reason = Text(max=1024)


class ReferenceImages(Strict):
    """reference-images: the assets to attach."""

    assetIds = Array(AssetId(), min=1, max=MAX_ASSET_IDS, required=True)


class Personality(Strict):
    """A whole personality."""

    traits = Array(Text())
    values = Array(Text())
    interests = Array(Text())
    catchphrases = Array(Text())
    tone = Text()
    humor = Text()
    formality = Text()
    speakingStyle = Text()


class Overrides(Strict):
    """The fields in which a clone differs from its source; nothing is null."""

    gender = Choice(*GENDERS)
    ageRange = Text(max=16)
    ethnicity = Text(max=128)
    bodyType = Text(max=128)
    hairColor = Text(max=64)
    hairStyle = Text(max=128)
    style = Text(max=256)
    vibe = Text(max=256)
    voiceDescription = Text(max=1024)
    personality = Object(Personality)


class InfluencerCreate(Overrides):
    """create: a name, and any other known fields."""

    name = Text(min=1, max=128, required=True)
    influencerId = InfluencerId()
    referenceImages = Object(ReferenceImages)


class InfluencerClone(Strict):
    """clone: a name, and the fields that differ."""

    name = Text(min=1, max=128, required=True)
    newInfluencerId = InfluencerId()
    overrides = Object(Overrides)


class EmptyBody(Strict):
    """A body without content: absent, or an empty object."""


class ProjectPatch(Patch):
    """PATCH of a project: at least one field."""

    name = Text(min=1, max=128)
    status = Choice("active", "archived")
    timezone = Pattern(_is_timezone, "Invalid timezone", metadata=_TIMEZONE)
    customerExternalId = Text(min=1, max=256, allow_none=True)
    ownerEmail = Pattern(_EMAIL, "Invalid email", max=320, allow_none=True)
    primaryLanguage = Text(min=1, max=35)
    metadata = Metadata(max=8192, metadata=_METADATA)


class ProjectCreate(Strict):
    """create: a name and a timezone."""

    name = Text(min=1, max=128, required=True)
    timezone = Pattern(_is_timezone, "Invalid timezone", required=True, metadata=_TIMEZONE)
    id = Pattern(_PROJECT_ID, "Invalid id", min=1, max=64)
    customerExternalId = Text(min=1, max=256)
    ownerEmail = Pattern(_EMAIL, "Invalid email", max=320)
    primaryLanguage = Text(min=1, max=35)
    metadata = Metadata(max=8192, metadata=_METADATA)


def _family_rule(family: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return `_Media._fits` for some kinds, as JSON Schema; it leaves out that types in capitals are valid too."""
    typed = {"pattern": f"^{family}"}
    return {
        "if": {"properties": {"kind": {"enum": list(kinds)}}},
        "then": {"properties": {"mimeType": typed, "contentType": typed}},
    }


class _Media(Strict):
    """The declaration of a file before its bytes; `mimeType` may also be called `contentType`."""

    json_schema = {
        "anyOf": [{"required": ["mimeType"]}, {"required": ["contentType"]}],
        "allOf": [_family_rule(family, kinds) for family, kinds in FAMILIES.items()],
    }

    kind = Choice(*KINDS, required=True)
    mimeType = Pattern(_MIME_TYPE, "Invalid mimeType", max=255)
    contentType = Pattern(_MIME_TYPE, "Invalid mimeType", max=255)
    filename = Text(min=1, max=256)

    aliases: tuple[tuple[str, str], ...] = (("mimeType", "contentType"),)

    @validates_schema(skip_on_field_errors=False)
    def _agree(self, data: Mapping[str, Any], **_: Any) -> None:
        for name, alias in self.aliases:
            if name in data and alias in data and data[name] != data[alias]:
                raise ValidationError(f"Must be the same as {name}", alias)

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _typed(self, data: Mapping[str, Any], original: Any, **_: Any) -> None:
        if isinstance(original, dict) and not original.keys() & {"mimeType", "contentType"}:
            raise ValidationError("Required", "mimeType")

    @validates_schema
    def _fits(self, data: Mapping[str, Any], **_: Any) -> None:
        family = next(family for family, kinds in FAMILIES.items() if data["kind"] in kinds)
        mime_type = data.get("mimeType", data.get("contentType", family))
        if not mime_type.lower().startswith(family):
            raise ValidationError(f"Must be {family}* for kind {data['kind']}", "mimeType")

    @post_load
    def _one_spelling(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        for name, alias in self.aliases:
            if alias in data:
                data[name] = data.pop(alias)
        return data | {"mimeType": data["mimeType"].lower()}


class Presign(_Media):
    """presign: the file to be uploaded; `sizeBytes` may also be called `byteSize`."""

    sizeBytes = Integer(min=1, max=MAX_SAFE_INTEGER)
    byteSize = Integer(min=1, max=MAX_SAFE_INTEGER)
    checksumSha256 = Pattern(_SHA256, "Invalid checksum")

    aliases = (("mimeType", "contentType"), ("sizeBytes", "byteSize"))


class InlineMedia(_Media):
    """inline: the bytes themselves."""

    dataBase64 = Base64(below=MAX_INLINE_BYTES, required=True)


class Finalize(Strict):
    """finalize: the upload that is complete."""

    uploadId = Text(required=True)
    checksumSha256 = Pattern(_SHA256, "Invalid checksum")


class Query(Schema):
    """Base of queries; unknown parameters are ignored."""

    class Meta:
        unknown = EXCLUDE


class InfluencerQuery(Query):
    cursor = Pattern(is_cursor, "Invalid cursor", metadata=CURSOR)
    limit = QueryNumber(min=1, max=100, load_default=25)
    status = Choice("draft", "pending", "training", "ready", "failed")


class ProjectQuery(Query):
    cursor = Pattern(is_cursor, "Invalid cursor", metadata=CURSOR)
    limit = QueryNumber(min=1, max=200, load_default=25)
    status = Choice("active", "archived")
    search = Text()
    customerExternalId = Text()


class IdempotencyHeader(Strict):
    """The header `Idempotency-Key`, if sent."""

    key = Pattern(_PRINTABLE, "Invalid", min=1, max=255, data_key="Idempotency-Key")


def details(*errors: ValidationError) -> dict[str, Any]:
    """Return {"fieldErrors": {field: [message]}, "formErrors": [message]}; formErrors only if there are any.

    At most MAX_ERRORS messages are listed; then formErrors ends with MORE_ERRORS. Longer names than MAX_NAME are cut.
    """
    field_errors: dict[str, list[str]] = {}
    form_errors: list[str] = []
    for count, (name, message) in enumerate(_messages(errors)):
        if count == MAX_ERRORS:
            form_errors.append(MORE_ERRORS)
            break
        (form_errors if name == SCHEMA else field_errors.setdefault(name, [])).append(message)
    return {"fieldErrors": field_errors} | ({"formErrors": form_errors} if form_errors else {})


def _messages(errors: Iterable[ValidationError]) -> Iterator[tuple[str, str]]:
    """Yield (field or SCHEMA, message) of all errors."""
    for error in errors:
        for name, faults in _by_field(error).items():
            yield from ((_short(name), message) for message in _sentences(faults))


def _short(name: str) -> str:
    """Return the name of a field, cut if no field that we know has one as long."""
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"


def _by_field(error: ValidationError) -> dict[str, Any]:
    messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return messages


def _sentences(faults: Any, path: str | None = None) -> Iterator[str]:
    """Yield the messages of a top-level field; a nested field's message begins with its path."""
    if isinstance(faults, str):
        yield faults if path is None else f"{path}: {faults}"
    elif isinstance(faults, list):
        for nested_error in faults:
            yield from _sentences(nested_error, path)
    else:
        for name, nested in faults.items():
            inner = _short(str(name)) if path is None else f"{path}.{_short(str(name))}"
            yield from _sentences(nested, path if name == SCHEMA else inner)
