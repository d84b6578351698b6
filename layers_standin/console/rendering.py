"""From views to HTML: everything is escaped, secrets are left out, and invisible characters are made visible."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from layers_standin.console.pages import action_href, href
from layers_standin.console.text import moment, visible
from layers_standin.web.logs.output import redacted

_TEMPLATES = Path(__file__).parent / "templates"


def _shown(value: object) -> object:
    """Return a value as visible text without secrets; our own markup stays as it is."""
    return visible(redacted(value)) if type(value) is str else value


_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals |= {"action_href": action_href, "href": href}
_environment.filters |= {"moment": moment, "merged": lambda first, second: first | second}


def render(
    name: str,
    view: Mapping[str, Any],
    link: Callable[[str], str],
    *,
    is_fragment: bool = False,
    layout: str = "layout.html",
) -> str:
    """Return a whole page, or the part of it that is refreshed while it is open; `link(path)` makes its links."""
    template = _environment.get_template(f"{name}.html" if is_fragment else layout)
    return template.render(view, link=link, fragment=f"{name}.html")


def link_from(uri: str) -> Callable[[str], str]:
    """Return `link(path)`, which makes a path of ours relative to the page at a request's URI.

    Such a link is right under the path of a proxy too, wherever that has the service.
    """
    up = "../" * (urlsplit(uri).path.count("/") - 1)
    return lambda path: up + path.removeprefix("/")
