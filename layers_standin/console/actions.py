"""The forms of the console that change the API's documents: each calls an operation, in the name of a key.

A form is made from the schema of the operation's body, and what the API says of its fields is said at them.
"""

import base64
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import orjson
from marshmallow import Schema
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from layers_standin.console.calls import environ_of
from layers_standin.console.pages import View, fact_of
from layers_standin.console.text import visible
from layers_standin.domain.errors import Conflict
from layers_standin.domain.keys import CONTENT_WRITE, INFLUENCERS_WRITE, PROJECTS_WRITE
from layers_standin.engines.table import Record
from layers_standin.fields import Array, Choice, Integer, Object, Text
from layers_standin.operations.content_schemas import ContentGenerate
from layers_standin.web.logs.output import redacted
from schemas import MAX_INLINE_BYTES, InfluencerClone, InfluencerCreate, InfluencerDeletion, InfluencerPatch
from schemas import ReferenceImages as PicturesAttached
from store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

INFLUENCER, PROJECT = "influencers", "projects"
_LONG = 256  # a field that takes as many characters gets a box of several lines
_NO_ANSWER = {"message": "The connection broke before the whole answer was there: a fault was injected."}


class Action(NamedTuple):
    """An operation of the API as a form: its title, the word on its button, and the documents that it is for."""

    title: str
    button: str
    subject: str
    method: str
    path: str
    scopes: tuple[str, ...]
    body: Schema
    hint: str = ""


ACTIONS = {
    "create": Action(
        "New influencer", "Create", PROJECT, "POST", "influencers", (INFLUENCERS_WRITE,), InfluencerCreate(),
        "A job makes it ready.",
    ),
    "generate": Action(
        "Generate content", "Generate", PROJECT, "POST", "content", (CONTENT_WRITE,), ContentGenerate(),
        "video_remix and ugc_remix make a video, slideshow_remix makes slides, auto chooses.",
    ),
    "edit": Action(
        "Edit", "Save", INFLUENCER, "PATCH", "", (INFLUENCERS_WRITE,), InfluencerPatch(),
        "Only fields that you change are sent; a field that you empty is cleared.",
    ),
    "clone": Action(
        "Clone", "Clone", INFLUENCER, "POST", "clone", (INFLUENCERS_WRITE,), InfluencerClone(),
        "It takes after this one, but for the overrides.",
    ),
    "pictures": Action(
        "Add reference images", "Attach", INFLUENCER, "POST", "reference-images", (INFLUENCERS_WRITE, PROJECTS_WRITE),
        PicturesAttached(), "Choose files to upload, or name assets of the same project.",
    ),
    "delete": Action(
        "Delete", "Delete", INFLUENCER, "DELETE", "", (INFLUENCERS_WRITE,), InfluencerDeletion(),
        "No client sees it any more; its content and its posts go on.",
    ),
}  # fmt: skip


class Answer(NamedTuple):
    """The API's answer: its status, and its JSON."""

    status: int
    json: Record

    @property
    def error(self) -> Record | None:
        return None if self.status < 400 else self.json["error"]


def path_of(action: Action, subject_id: str) -> str:
    return "/".join(filter(None, ("/v1", action.subject, subject_id, action.path)))


# Fields


def fields_of(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (name, field) of all that a form asks for; those of an object as `personality.tone`."""
    for name, field in schema.fields.items():
        if isinstance(field, Object):
            yield from fields_of(field.schema, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def shown_values(schema: Schema, document: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts in which a form shows a document, by the names of its fields."""
    return {name: _text_of(_inside(document, name)) for name, _ in fields_of(schema)}


def _inside(document: Mapping[str, Any], name: str) -> Any:
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _text_of(value: Any) -> str:
    texts = value if isinstance(value, list) else [] if value is None else [value]
    return _even(visible(redacted("\n".join(map(str, texts)))))


def _even(text: str) -> str:
    """Return a text with the ends of lines that browsers make."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def form_fields(schema: Schema, values: Mapping[str, str], errors: Mapping[str, list[str]]) -> list[View]:
    """Return what a form shows: one entry for each field, with its text, and what the API says of it."""
    return [_form_field(name, field, values.get(name, ""), errors.get(name, [])) for name, field in fields_of(schema)]


def _form_field(name: str, field: Any, value: str, errors: list[str]) -> View:
    group, _, last = name.rpartition(".")
    is_long = "\n" in value or (isinstance(field, Text) and (field.max or 0) >= _LONG) or last == "reason"
    kind = "list" if isinstance(field, Array) else "choice" if isinstance(field, Choice) else "line"
    return {
        "name": name,
        "label": fact_of(last, None)["label"],
        "group": " · ".join(fact_of(each, None)["label"] for each in group.split(".") if each),
        "kind": "area" if kind == "line" and is_long else "number" if isinstance(field, Integer) else kind,
        "choices": _choices(field.choices, value) if kind == "choice" else (),
        "is_required": field.required,
        "value": value,
        "errors": errors,
    }


def _choices(choices: Iterable[str], value: str) -> list[str]:
    return ["", *choices, *([value] if value and value not in choices else ())]


def body_of(schema: Schema, form: Mapping[str, str]) -> Record:
    """Return the body that a filled in form means; empty fields are left out."""
    return _body(schema, {name: _even(form.get(name, "")) for name, _ in fields_of(schema)}, {})


def change_of(schema: Schema, form: Mapping[str, str], was: Mapping[str, str]) -> Record:
    """Return the PATCH of an edited form: the fields whose text is not what it was; emptied ones are null."""
    texts = {name: _even(form[name]) for name, _ in fields_of(schema) if name in form}
    return _body(schema, {name: text for name, text in texts.items() if text != was.get(name, "")}, was)


def _body(schema: Schema, texts: Mapping[str, str], was: Mapping[str, str]) -> Record:
    body: Record = {}
    for name, field in fields_of(schema):
        text = texts.get(name, "")
        if not text and not (name in texts and was.get(name)):
            continue
        *outer, last = name.split(".")
        holder = body
        for part in outer:
            holder = holder.setdefault(part, {})
        holder[last] = _value(field, text)
    return body


def _value(field: Any, text: str) -> Any:
    if not text:
        return None if field.allow_none else ""
    if isinstance(field, Array):
        return [line.strip() for line in text.split("\n") if line.strip()]
    if isinstance(field, Integer) and text.lstrip("-").isdecimal() and text.isascii():
        return int(text)
    return text


def placed_errors(schema: Schema, error: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """Return what an error of the API says: (messages by the name of a field, messages about no field of the form)."""
    details = error.get("details") or {}
    placed: dict[str, list[str]] = {}
    others = list(details.get("formErrors", []))
    names = [name for name, _ in fields_of(schema)]
    for field, messages in details.get("fieldErrors", {}).items():
        for message in messages:
            path, _, words = message.partition(": ")
            inner = [name for name in names if _is_within(f"{field}.{path}", name)] if words else []
            if field in names:
                placed.setdefault(field, []).append(message)
            elif inner:
                placed.setdefault(inner[0], []).append(words)
            else:
                others.append(f"{field}: {message}")
    return placed, others


def _is_within(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


# Calls


def key_for(own: Store, scopes: tuple[str, ...]) -> Record:
    """Return a key of the organization that has these scopes. Raises Conflict."""
    for key in own.keys.all():
        if not key["killSwitch"] and ("*" in key["scopes"] or set(scopes) <= set(key["scopes"])):
            return key
    raise Conflict(f"No key of this organization may do this: it needs one with {' and '.join(scopes)}.")


class Caller:
    """Calls the API in this process as a client with the key would; `environ` is that of the person's request."""

    def __init__(self, app: "WSGIApplication", environ: "WSGIEnvironment", key: Record) -> None:
        self._app, self._person, self._key = app, environ, key

    def call(self, method: str, path: str, body: Record) -> Answer:
        return self.send(method, path, orjson.dumps(body), "application/json")

    def send(self, method: str, path: str, data: bytes, content_type: str) -> Answer:
        headers = {"Content-Type": content_type}
        environ = environ_of(self._person, self._key["publicId"], method, path, data, headers)
        try:
            response = Response.from_app(self._app, environ)
            text = response.get_data()
            response.close()
            return Answer(response.status_code, orjson.loads(text) if text else {})
        except (ConnectionResetError, orjson.JSONDecodeError):
            return Answer(502, {"error": _NO_ANSWER})


def upload(caller: Caller, project_id: str, file: FileStorage) -> Answer:
    """Make an asset of a file, as a client would: a small one in the body, a large one by an upload."""
    declared = {"kind": "reference_image", "mimeType": file.mimetype, "filename": file.filename or "picture"}
    data = file.read()
    media = f"/v1/projects/{project_id}/media"
    if len(data) < MAX_INLINE_BYTES:
        return caller.call("POST", media, declared | {"dataBase64": base64.b64encode(data).decode()})
    presigned = caller.call("POST", f"{media}/presign", declared | {"sizeBytes": len(data)})
    if presigned.error:
        return presigned
    path = urlsplit(presigned.json["uploadUrl"]).path
    place = path.find("/v1/uploads/")
    if place < 0:
        message = "Files of this size go straight to the bucket, which the console does not do: use the command below."
        return Answer(409, {"error": {"message": message}})
    sent = caller.send("PUT", path[place:], data, file.mimetype)
    return sent if sent.error else caller.call("POST", f"{media}/finalize", {"uploadId": presigned.json["uploadId"]})


# The same by curl


def curl_of(action: Action, subject_id: str, body: Record, base_url: str) -> str:
    """Return the command that calls the same operation, with the key from the environment."""
    url = shlex.quote(f"{base_url}{path_of(action, subject_id)}")
    sent = f" \\\n  -H 'Content-Type: application/json' \\\n  --data-raw {shlex.quote(orjson.dumps(body).decode())}"
    needs_body = body or action.method != "DELETE"
    return f'curl -X {action.method} {url} \\\n  -H "X-Api-Key: $LAYERS_API_KEY"{sent if needs_body else ""}'


def upload_curl(project_id: str, base_url: str) -> str:
    """Return the command that uploads a file of less than MAX_INLINE_BYTES, and prints its asset."""
    url = shlex.quote(f"{base_url}/v1/projects/{project_id}/media")
    declared = '{\\"kind\\": \\"reference_image\\", \\"mimeType\\": \\"image/jpeg\\", \\"filename\\": \\"photo.jpg\\", '
    return (
        f"curl -X POST {url} \\\n  -H \"X-Api-Key: $LAYERS_API_KEY\" -H 'Content-Type: application/json' \\\n"
        f'  -d "{declared}\\"dataBase64\\": \\"$(base64 < photo.jpg | tr -d \'\\n\')\\"}}"'
    )
