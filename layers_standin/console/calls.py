"""Calls of the API from within this process, in the name of a key."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from layers_standin.web.auth import CALLER

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_OF_CONNECTION = ("REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "HTTP_HOST", "wsgi.url_scheme")


def environ_of(
    person: "WSGIEnvironment",
    key_id: str | None,
    method: str,
    path: str,
    data: bytes,
    headers: Mapping[str, str],
    query: str = "",
) -> "WSGIEnvironment":
    """Return the environ of a call as a client would make it; `person` is that of the request that wants it.

    `path` is decoded, `query` as it is sent; `key_id` is the public part of the key, None for a call without one.
    """
    own = {name: person[name] for name in _OF_CONNECTION if name in person} | {
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        **({} if key_id is None else {CALLER: key_id}),
    }
    sent = Headers({"User-Agent": "Layers stand-in console"} | dict(headers))
    return EnvironBuilder(method=method, headers=sent, data=data, environ_overrides=own).get_environ()
