"""The fields of a client's values, each validated with the messages of the real service's validator.

They raise marshmallow's ValidationError, and convert nothing: the accepted value is the value that was sent.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, ClassVar

import orjson
from isodate import parse_duration
from marshmallow import ValidationError, fields
from marshmallow.exceptions import SCHEMA

from layers_standin.domain.clocks import LATEST_MS
from layers_standin.domain.ids import UUID
from layers_standin.domain.times import epoch_milliseconds

MAX_ERRORS = 100  # that a refusal lists; no more are looked for in one list or object

_INFLUENCER_ID = re.compile(rf"{UUID.pattern}|inf_[0-7][0-9A-HJKMNP-TV-Z]{{25}}")
_POST_ID = re.compile(rf"{UUID.pattern}|sp_[0-7][0-9A-HJKMNP-TV-Z]{{25}}")
_DIGITS = re.compile(r"-?[0-9]{1,9}")


def _duration_form(number: str) -> str:
    """Return the regular expression of a duration whose numbers have the form `number`."""
    hours = rf"(?:{number}H)?(?:{number}M)?(?:{number}(?:\.{number})?S)?"
    return rf"^-?P(?!$)(?:{number}W)?(?:{number}D)?(?:T(?!$){hours})?$"


_DURATION = _duration_form("[0-9]{1,6}")  # as it is documented: larger numbers are valid, but nobody needs them
_ANY_DURATION = re.compile(_duration_form("[0-9]{1,9}"))
_MILLISECOND = timedelta(milliseconds=1)
_ASSET_ID = re.compile(rf"{UUID.pattern}|(asset|med)_[0-9A-Za-z-]{{1,64}}")


def _json_size(value: object) -> int:
    return len(orjson.dumps(value))


def type_name(value: object) -> str:
    """Return JSON's name of the type of a decoded value."""
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def wrong_type(expected: str, value: object) -> str:
    return f"Expected {expected}, received {type_name(value)}"


def bounded(value: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return an object with all its known fields, and at most one more of the others than a refusal lists."""
    return {name: value[name] for name in known if name in value} | dict.fromkeys(
        islice((name for name in value if name not in known), MAX_ERRORS + 1)
    )


class _Strict:
    """Base of every field here: no conversions, and null is a value of the wrong type."""

    json_type = "string"

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        if value is None and not self.allow_none:  # type: ignore[attr-defined]
            raise ValidationError(wrong_type(self.json_type, value))
        return super().deserialize(value, attr, data, **kwargs)  # type: ignore[misc]


class Text(_Strict, fields.Field[str]):
    """A string of `min` to `max` code points, kept exactly as sent."""

    default_error_messages = {"required": "Required"}

    def __init__(self, *, min: int = 0, max: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min, self.max = min, max

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError(wrong_type("string", value))
        if len(value) < self.min:
            raise ValidationError(f"String must contain at least {self.min} character(s)")
        if self.max is not None and len(value) > self.max:
            raise ValidationError(f"String must contain at most {self.max} character(s)")
        return value


class Boolean(_Strict, fields.Field[bool]):
    """True or false; neither 1 nor "yes"."""

    json_type = "boolean"
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "boolean"}
    default_error_messages = {"required": "Required"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(wrong_type("boolean", value))
        return value


class Choice(Text):
    """One of a few strings."""

    message = "Invalid enum value"

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text not in self.choices:
            raise ValidationError(self.message)
        return text


class Pattern(Text):
    """A string of a certain form, a regular expression or a function; `message` is the error for any other."""

    def __init__(self, form: re.Pattern[str] | Callable[[str], object], message: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.form, self.message = form, message

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        fits = self.form.fullmatch if isinstance(self.form, re.Pattern) else self.form
        if not fits(text):
            raise ValidationError(self.message)
        return text


class Instant(Text):
    """A moment with its offset from UTC, as 2026-04-18T09:18:44Z; becomes milliseconds since 1970."""

    json_schema: ClassVar[Mapping[str, Any]] = {"format": "date-time"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise ValueError
            moment_ms = epoch_milliseconds(moment.astimezone(UTC))
        except (ValueError, OverflowError) as error:
            raise ValidationError("Invalid instant: say 2026-04-18T09:18:44Z") from error
        if not 0 <= moment_ms <= LATEST_MS:
            raise ValidationError("Invalid instant: must be from 1970-01-01T00:00:00Z to 9999-12-01T00:00:00Z")
        return moment_ms


class Duration(Text):
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds, maybe negative; becomes milliseconds."""

    json_schema: ClassVar[Mapping[str, Any]] = {
        "description": "As in ISO 8601, of weeks, days, hours, minutes and seconds: `PT15M`, `P1D`, `-PT1H`.",
        "pattern": _DURATION,
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            if _ANY_DURATION.fullmatch(text) is None:  # parse_duration takes `PT` and months too
                raise ValueError
            duration: timedelta = parse_duration(text)
            return duration // _MILLISECOND
        except (ValueError, OverflowError) as error:
            raise ValidationError("Invalid duration: say PT15M, P1D or -PT1H") from error


class AssetId(Pattern):
    """A UUID, or `asset_` or `med_` and up to 64 letters, digits and hyphens."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_ASSET_ID, "Invalid uuid", **kwargs)


class InfluencerId(Pattern):
    """A UUID, or `inf_` and a ULID."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_INFLUENCER_ID, "Invalid uuid", **kwargs)


class PostId(Pattern):
    """A UUID, or `sp_` and a ULID."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_POST_ID, "Invalid uuid", **kwargs)


class Array(_Strict, fields.Field[list[Any]]):
    """A list of `min` to `max` items; the errors of its items are reported beside its own.

    It looks at no item that is more than MAX_ERRORS beyond `max`, nor at any after MAX_ERRORS + 1 wrong ones.
    """

    json_type = "array"
    default_error_messages = {"required": "Required"}

    def __init__(self, inner: fields.Field[Any], *, min: int = 0, max: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.min, self.max = inner, min, max

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValidationError(wrong_type("array", value))
        faults: dict[str | int, list[Any]] = {}
        if own := list(self._size_faults(len(value))):
            faults[SCHEMA] = own
        for index, item in enumerate(islice(value, None if self.max is None else self.max + MAX_ERRORS)):
            try:
                self.inner.deserialize(item)
            except ValidationError as error:
                faults[index] = [error.messages]
                if len(faults) > MAX_ERRORS:
                    break
        if faults:
            raise ValidationError(faults)
        return value

    def _size_faults(self, size: int) -> Iterator[str]:
        if size < self.min:
            yield f"Array must contain at least {self.min} element(s)"
        if self.max is not None and size > self.max:
            yield f"Array must contain at most {self.max} element(s)"


class Integer(_Strict, fields.Field[int]):
    """A whole number of `min` to `max`."""

    json_type = "number"
    default_error_messages = {"required": "Required"}

    def __init__(self, *, min: int = 0, max: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min, self.max = min, max

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if type_name(value) != "number":
            raise ValidationError(wrong_type("number", value))
        if value != int(value):
            raise ValidationError("Expected integer, received float")
        if value < self.min:
            raise ValidationError(f"Number must be greater than or equal to {self.min}")
        if self.max is not None and value > self.max:
            raise ValidationError(f"Number must be less than or equal to {self.max}")
        return int(value)


class Base64(_Strict, fields.Field[bytes]):
    """Bytes as base64, fewer than `below` of them."""

    default_error_messages = {"required": "Required"}

    def __init__(self, *, below: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.below = below

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bytes:
        text = Text(min=1).deserialize(value)
        try:
            decoded = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValidationError("Invalid base64") from error
        if len(decoded) >= self.below:
            raise ValidationError(f"Decoded data must be less than {self.below} bytes")
        return decoded


class QueryNumber(Integer):
    """A whole number in a query, where everything is text."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not _DIGITS.fullmatch(value):
            raise ValidationError("Expected number, received nan")
        return super()._deserialize(int(value), attr, data, **kwargs)


class QueryChoices(Array):
    """A parameter of a query that may be repeated, each time one of a few strings."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(Choice(*choices), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not set(value) <= set(self.inner.choices):  # type: ignore[attr-defined]
            raise ValidationError(Choice.message)
        return list(dict.fromkeys(value))


class Metadata(_Strict, fields.Field[dict[str, Any]]):
    """Any object whose JSON is at most `max` bytes."""

    json_type = "object"

    def __init__(self, *, max: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max = max

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError(wrong_type("object", value))
        if _json_size(value) > self.max:
            raise ValidationError(f"Object must be at most {self.max} bytes of JSON")
        return value


class Object(fields.Nested):
    """An object with a schema of its own; null only with `allow_none`."""

    default_error_messages = {"required": "Required"}

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        if value is None and not self.allow_none:
            raise ValidationError(wrong_type("object", value))
        if isinstance(value, dict) and len(value) > MAX_ERRORS:
            value = bounded(value, self.schema.load_fields)
        return super().deserialize(value, attr, data, **kwargs)
