"""The paths that are closest to a wrong one, for hints: a wrong path is most often a misspelled one."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_PLACEHOLDER = re.compile(r"<(?:[^<>]*:)?([^<>]*)>")  # as Flask writes it
_ID = re.compile(r"(?!v\d+$).*[0-9_<>{}:*].*")  # a piece of a path that names no collection and no command
_MAX_COMPARED = 200  # characters; the time grows with the square


def template(path: str) -> str:
    """Return a path of Flask as OpenAPI writes it: `/v1/jobs/{job_id}`."""
    return _PLACEHOLDER.sub(r"{\1}", path)


def closest_paths(path: str, templates: Iterable[str], most: int) -> list[str]:
    """Return the most similar templates, the closest first, none where none is similar; ids are all the same."""
    known = {_without_ids(each): each for each in sorted(templates)}
    return [known[each] for each in get_close_matches(_without_ids(path[:_MAX_COMPARED]), known, n=most)]


def _without_ids(path: str) -> str:
    first, *rest = path.partition("?")[0].lower().strip("/").split("/")  # `_standin` is no id
    return "/".join([first, *("*" if _ID.fullmatch(piece) else piece for piece in rest if piece)])
