"""Where a reply is not of the form that the document tells, in words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import ValidationError

from layers_standin.conform.document import schema_errors
from layers_standin.conform.expectations import Difference, shown

_WORDS = {"type": "of type", "enum": "one of", "const": "", "pattern": "like", "format": "a", "minimum": "at least"}


def form_differences(document: Mapping[str, Any], value: Any, schema: Mapping[str, Any]) -> list[Difference]:
    """Return where a value is not as its schema in the document says."""
    return list(_differences(schema_errors(document, value, schema)))


def _differences(errors: Iterable[ValidationError]) -> Iterator[Difference]:
    missing: dict[str, list[str]] = defaultdict(list)
    unknown: dict[str, list[str]] = defaultdict(list)
    for error in errors:
        where = _where(error)
        if error.validator == "required":
            missing[where] += [name for name in error.validator_value if name not in error.instance]
        elif error.validator == "additionalProperties":
            unknown[where] += sorted(error.instance.keys() - error.schema["properties"].keys())
        elif error.validator in ("anyOf", "oneOf"):
            yield from _differences(_nearest(error))
        else:
            rule = _WORDS.get(str(error.validator), str(error.validator))
            yield Difference(
                f"{where} is {rule} {_gist(error.validator_value)}".replace("  ", " "), shown(error.instance)
            )
    for where in dict.fromkeys([*missing, *unknown]):
        lacking, more = dict.fromkeys(missing[where]), unknown[where]
        expected = f"{where} has {', '.join(lacking)}" if lacking else f"{where} has no other fields than are told"
        yield Difference(expected, ", ".join(more) if more else "no such field")


def _nearest(error: ValidationError) -> list[ValidationError]:
    """Return the errors of the form that a value comes nearest to."""
    by_form: dict[Any, list[ValidationError]] = defaultdict(list)
    for each in error.context or []:
        by_form[each.schema_path[0]].append(each)
    return min(by_form.values(), key=len, default=[])


def _where(error: ValidationError) -> str:
    return ".".join("*" if isinstance(step, int) else str(step) for step in error.absolute_path) or "the reply"


def _gist(rule: Any) -> str:
    return ", ".join(map(str, rule)) if isinstance(rule, list) else str(rule)
