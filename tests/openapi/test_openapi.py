"""The OpenAPI document: valid, of all routes and only those, and with examples that work.

That responses are what it says is asked of every response in every test, by the client they share.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
from api_helpers import key_of, refused
from conftest import DEMO
from contract.conformance import Conformance
from openapi_helpers import plant_examples
from openapi_spec_validator import OpenAPIV31SpecValidator
from servers import run
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from app import create_app, document, operations
from layers_standin.conform.document import resolved
from layers_standin.control.operations import operations as control_operations
from layers_standin.domain.events import TYPES
from layers_standin.domain.keys import SCOPES
from layers_standin.openapi.descriptions import TEXTS
from layers_standin.openapi.document import camel_case, openapi_document, openapi_path
from layers_standin.openapi.errors import ERRORS
from layers_standin.openapi.partner import partner_api
from layers_standin.openapi.responses import RESPONSES
from layers_standin.services import Services
from layers_standin.web.errors import STATUS_OF_CODE
from schemas import InfluencerPatch

pytestmark = pytest.mark.slow

SERVER = "http://localhost"
DOCUMENT = document(SERVER)
SCHEMAS = DOCUMENT["components"]["schemas"]
WHO_AM_I, NO_KEY = RESPONSES["WhoAmI"].example, ERRORS["Unauthenticated"].example()
METHODS = {"get", "put", "post", "patch", "delete"}


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (method, path, what is told of it) of every operation."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield method, path, told


TOLD = list(operations_of(resolved(DOCUMENT, DOCUMENT)))
TOLD_OF_ALL = [told for _, _, told in TOLD]
POSTED = {kind: item["post"] for kind, item in DOCUMENT["webhooks"].items()}
BY_ID = {told["operationId"]: (method, path, told) for method, path, told in TOLD}


def undescribed(part: Any) -> Any:
    """Return a schema without the descriptions in it."""
    if isinstance(part, list):
        return [undescribed(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {name: undescribed(each) for name, each in part.items() if name != "description"}


def parameters(told: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of an operation that are in path, query or header."""
    return {parameter["name"]: parameter for parameter in told["parameters"] if parameter["in"] == where}


def test_it_is_a_valid_openapi_document():
    assert DOCUMENT["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


# Of all routes and only those


def test_it_tells_every_route_but_those_of_pages(app):
    served = {
        (method.lower(), openapi_path(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    of_pages = "/(console|consent|posts|pages|docs|openapi.json|$)"
    pages = {(method, path) for method, path in served if re.match(of_pages, path)}
    assert {(method, path) for method, path, _ in TOLD} == served - pages
    assert pages >= {("get", "/"), ("get", "/console"), ("get", "/docs"), ("get", "/openapi.json")}


def test_an_operation_is_named_after_its_handler():
    assert camel_case("attach_reference_images") == "attachReferenceImages"
    names = {operation.name for operation in (*operations, *control_operations)}
    assert names == set(BY_ID) - {"putUpload", "getMedia", "postToInbox"}


def test_every_operation_has_a_summary_a_tag_and_what_its_path_names():
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for _, path, told in TOLD:
        assert told["summary"]
        assert set(told["tags"]) <= tags
        assert list(parameters(told, "path")) == re.findall(r"{(\w+)}", path)


def test_a_converter_in_a_route_is_left_out():
    assert openapi_path("/m/<any(a, b):a_variant>/<name>") == "/m/{aVariant}/{name}"


@pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.name)
def test_an_operation_asks_for_a_key_with_its_scope(operation):
    _, _, told = BY_ID[operation.name]
    scopes = [operation.scope] if operation.scope else []
    assert told["security"] == [{"ApiKey": scopes}, {"Bearer": scopes}]


@pytest.mark.parametrize("operation", control_operations, ids=lambda operation: operation.name)
def test_the_control_plane_asks_for_nothing_or_for_its_token(operation):
    _, _, told = BY_ID[operation.name]
    assert told["security"] == [{}, {"ControlToken": []}]
    assert "Idempotency-Key" not in parameters(told, "header")
    for response in told["responses"].values():
        assert set(response["headers"]) == {"X-Request-Id", "X-RateLimit-Endpoint-Class"}


def test_both_ways_to_send_a_key_are_told():
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert schemes["ApiKey"] | {"description": ""} == {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "",
    }
    assert (schemes["Bearer"]["type"], schemes["Bearer"]["scheme"]) == ("http", "bearer")


def test_every_reference_leads_somewhere_and_every_component_is_referred_to():
    text = orjson.dumps(DOCUMENT).decode()
    referred = set(re.findall(r'"\$ref":"#/components/(\w+)/([^"]+)"', text))
    there = {(kind, name) for kind, named in DOCUMENT["components"].items() for name in named}
    assert referred == there - {("securitySchemes", name) for name in DOCUMENT["components"]["securitySchemes"]}


# What is posted to webhook endpoints


def test_each_type_of_an_event_has_its_schema_and_an_example_of_it():
    assert tuple(POSTED) == TYPES
    assert len({told["operationId"] for told in POSTED.values()} - set(BY_ID)) == len(TYPES)
    for kind, told in POSTED.items():
        content = told["requestBody"]["content"]["application/json"]
        assert content["examples"][kind]["value"]["type"] == kind
        assert Conformance(DOCUMENT).schema_faults(content["examples"][kind]["value"], content["schema"]) == []


# Descriptions


def described_fields(schema: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """Yield the place and the description of every field of a schema, at every depth."""
    for name, field in schema.get("properties", {}).items():
        yield f"{place}.{name}", field.get("description", "")
        yield from described_fields(field, f"{place}.{name}")
        yield from described_fields(field.get("items", {}), f"{place}.{name}")


FIELDS = {place: text for name, schema in SCHEMAS.items() for place, text in described_fields(schema, name)}


def test_every_operation_and_every_field_parameter_header_and_tag_has_a_description():
    components = DOCUMENT["components"]
    texts = FIELDS | {
        f"{told['operationId']} {parameter['name']}": parameter.get("description", "")
        for told in (*TOLD_OF_ALL, *POSTED.values())
        for parameter in told["parameters"]
    }
    texts |= {told["operationId"]: told["summary"] for told in POSTED.values()}
    texts |= {told["operationId"]: told["description"] for _, _, told in TOLD}
    texts |= {tag["name"]: tag["description"] for tag in DOCUMENT["tags"]}
    for kind in ("headers", "responses", "securitySchemes"):
        texts |= {name: component["description"] for name, component in components[kind].items()}
    assert {place for place, text in texts.items() if not re.fullmatch(r"[A-Z`0-9].+[.!`]", text, re.DOTALL)} == set()


def test_every_description_is_of_something_that_is_there():
    names = {place.rpartition(".")[2] for place in FIELDS} | {
        parameter["name"] for told in (*TOLD_OF_ALL, *POSTED.values()) for parameter in told["parameters"]
    }
    parameters_of_queries = {
        f"{told['operationId']}.{each}" for _, _, told in TOLD for each in parameters(told, "query")
    }
    assert set(TEXTS["operations"]) == set(BY_ID)
    assert set(TEXTS["tags"]) == {told["tags"][0] for _, _, told in TOLD}
    assert set(TEXTS["schemas"]) <= set(SCHEMAS)
    for kind in ("securitySchemes", "headers"):
        assert set(TEXTS[kind]) == set(DOCUMENT["components"][kind])
    for name, text in TEXTS["fields"].items():
        if isinstance(text, str):
            assert name in names
        else:
            assert {f"{name}.{field}" for field in text} <= set(FIELDS) | parameters_of_queries


def test_a_field_is_described_as_it_is_meant_in_its_schema():
    assert FIELDS["InfluencerPatch.personality"].startswith("Merged with the stored one")
    assert FIELDS["Influencer.personality"] == "How they think and speak; `{}` if nothing was said."
    assert FIELDS["InfluencerDeletion.reason"] == "A note for audit, kept with the deletion."
    assert FIELDS["Asset.kind"] != FIELDS["JobStarted.kind"]


def test_an_operation_tells_what_its_key_needs():
    assert BY_ID["whoami"][2]["description"].endswith("Any key will do. The rate limit is that of `read-light`.")
    cloning = BY_ID["cloneInfluencer"][2]["description"]
    assert cloning.endswith("The key needs the scope `influencers:write`. The rate limit is that of `long-running`.")
    assert "scope" not in BY_ID["reset"][2]["description"]


def test_a_response_of_many_operations_is_told_once():
    named = DOCUMENT["components"]["responses"]
    whole = [orjson.dumps(response) for response in named.values()]
    assert len(set(whole)) == len(whole)
    for _, _, told in operations_of(DOCUMENT):
        errors = {status: response for status, response in told["responses"].items() if int(status) >= 400}
        assert all(set(response) == {"$ref"} for response in errors.values())


def test_an_error_is_shown_as_the_operation_gives_it():
    def shown(name: str, status: str, error: str) -> Any:
        return BY_ID[name][2]["responses"][status]["content"]["application/json"]["examples"][error]["value"]["error"]

    assert shown("getJob", "404", "NotFound")["message"] == "Job not found."
    assert shown("killKey", "404", "NotFound")["message"] == "API key not found."
    assert shown("patchInfluencer", "422", "Invalid")["message"] == "Invalid body."
    assert shown("listProjects", "422", "Invalid")["message"] == "Invalid query."
    assert shown("listProjects", "422", "Invalid")["details"]["fieldErrors"].keys() == {"limit"}
    assert shown("getClock", "422", "Invalid")["details"] == {"fieldErrors": {"limits": ["Unrecognized key"]}}


# Refusals


def test_every_error_code_is_told_with_its_status():
    assert {refusal.code for refusal in ERRORS.values()} == set(STATUS_OF_CODE)


STATUSES = {
    "whoami": "200 401 429 500 503",
    "getInfluencer": "200 401 403 404 429 500 503",
    "patchInfluencer": "200 401 403 404 409 413 422 429 500 503",
    "listInfluencers": "200 401 403 404 422 429 500 503",
    "createInfluencer": "202 401 403 404 409 413 422 429 500 503",
    "getJob": "200 304 401 403 404 412 429 500 503",
    "cancelJob": "200 202 401 403 404 409 413 422 429 500 503",
    "createProject": "201 401 403 409 413 422 429 500 503",
    "rotateKey": "200 401 404 409 413 422 429 500 503",
    "putUpload": "200 403 404 409 413 422 500 503",
    "getMedia": "200 206 304 404 412 416 500 503",
    "getHealth": "200 401 403 404 422 500 503",
    "reset": "200 401 403 404 409 413 422 500 503",
    "createOrganization": "201 401 403 404 413 422 500 503",
    "getClock": "200 401 403 404 422 500 503",
    "setClock": "200 401 403 404 413 422 500 503",
    "createFault": "201 401 403 404 409 413 422 500 503",
    "getHistory": "200 401 403 404 409 422 500 503",
}


@pytest.mark.parametrize(("name", "statuses"), STATUSES.items())
def test_an_operation_has_just_the_statuses_it_can_answer(name, statuses):
    assert sorted(BY_ID[name][2]["responses"]) == statuses.split()


CONFLICTS = {
    "patchInfluencer": {"IDEMPOTENCY_CONFLICT"},
    "createInfluencer": {"IDEMPOTENCY_CONFLICT", "ID_TAKEN", "PROJECT_ARCHIVED"},
    "cloneInfluencer": {"IDEMPOTENCY_CONFLICT", "ID_TAKEN", "PROJECT_ARCHIVED"},
    "cancelJob": {"IDEMPOTENCY_CONFLICT", "JOB_CANCEL_UNAVAILABLE"},
    "createProject": {"IDEMPOTENCY_CONFLICT", "ID_TAKEN"},
    "finalizeUpload": {"IDEMPOTENCY_CONFLICT", "UPLOAD_MISSING", "UPLOAD_MISMATCH"},
    "rotateKey": {"IDEMPOTENCY_CONFLICT", "NOT_KEPT"},
    "putUpload": {"UPLOAD_FINALIZED"},
    "reset": {"NO_SEED"},
    "createFault": {"TOO_MANY_FAULTS"},
    "getHistory": {"AMBIGUOUS"},
}


@pytest.mark.parametrize(("name", "subcodes"), CONFLICTS.items())
def test_the_conflicts_of_an_operation_are_told_apart(name, subcodes):
    examples = BY_ID[name][2]["responses"]["409"]["content"]["application/json"]["examples"].values()
    errors = [example["value"]["error"] for example in examples]
    assert {error.get("details", {}).get("subcode", error["code"]) for error in errors} == subcodes


# What a client may send: from the schemas that judge it


def test_a_patch_tells_what_may_be_null_and_what_not():
    assert SCHEMAS["InfluencerPatch"]["description"] == InfluencerPatch.__doc__
    assert undescribed(SCHEMAS["InfluencerPatch"]) == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 128},
            "gender": {"type": ["string", "null"], "enum": ["male", "female", "nonbinary", "unspecified", None]},
            "ageRange": {"type": ["string", "null"], "maxLength": 16},
            "ethnicity": {"type": ["string", "null"], "maxLength": 128},
            "bodyType": {"type": ["string", "null"], "maxLength": 128},
            "hairColor": {"type": ["string", "null"], "maxLength": 64},
            "hairStyle": {"type": ["string", "null"], "maxLength": 128},
            "style": {"type": ["string", "null"], "maxLength": 256},
            "vibe": {"type": ["string", "null"], "maxLength": 256},
            "voiceDescription": {"type": ["string", "null"], "maxLength": 1024},
            "personality": {"$ref": "#/components/schemas/PersonalityPatch"},
        },
        "additionalProperties": False,
        "minProperties": 1,
    }
    traits = {"type": ["array", "null"], "items": {"type": "string"}}
    assert undescribed(SCHEMAS["PersonalityPatch"]["properties"]["traits"]) == traits


def test_lists_forms_and_what_must_be_there_are_told():
    asset_ids = SCHEMAS["ReferenceImages"]["properties"]["assetIds"]
    assert (asset_ids["minItems"], asset_ids["maxItems"]) == (1, 20)
    assert re.search(asset_ids["items"]["pattern"], "asset_01HXZ9")
    assert not re.search(asset_ids["items"]["pattern"], "x asset_01HXZ9")
    assert SCHEMAS["InfluencerCreate"]["required"] == ["name"]
    assert SCHEMAS["ProjectCreate"]["required"] == ["name", "timezone"]
    size = undescribed(SCHEMAS["Presign"]["properties"]["sizeBytes"])
    assert size == {
        "type": "integer",
        "minimum": 1,
        "maximum": 2**53 - 1,
    }


@pytest.mark.parametrize(
    ("schema", "body", "fits"),
    [
        ("InfluencerPatch", {}, False),
        ("InfluencerPatch", {"mood": "x"}, False),
        ("EmptyBody", {}, True),
        ("EmptyBody", {"x": 1}, False),
        ("Presign", {"kind": "logo", "mimeType": "image/png"}, True),
        ("Presign", {"kind": "logo", "contentType": "image/png"}, True),
        ("Presign", {"kind": "logo"}, False),
        ("Presign", {"kind": "logo", "mimeType": "video/mp4"}, False),
        ("Presign", {"kind": "video", "contentType": "image/png"}, False),
        ("InlineMedia", {"kind": "audio", "mimeType": "audio/ogg", "dataBase64": "QUI="}, True),
        ("InlineMedia", {"kind": "audio", "mimeType": "audio/ogg", "dataBase64": "QUI"}, False),
        ("InlineMedia", {"kind": "audio", "mimeType": "audio/ogg", "dataBase64": "A" * 349_524}, True),
        ("InlineMedia", {"kind": "audio", "mimeType": "audio/ogg", "dataBase64": "A" * 349_528}, False),
        ("ProjectPatch", {"ownerEmail": "a@b.c"}, True),
        ("ProjectPatch", {"ownerEmail": "a@b"}, False),
        ("ProjectPatch", {"ownerEmail": "a\x85@b.c"}, False),
        ("Reset", {"to": "yesterday"}, False),
        ("SnapshotCreate", {"name": "a b"}, False),
        ("LogSetting", {"enabled": True}, True),
        ("LogSetting", {"enabled": 1}, False),
        ("ClockSetting", {}, False),
        ("ClockSetting", {"mode": "real"}, True),
        ("ClockSetting", {"mode": "real", "at": "2026-04-18T09:18:44Z"}, False),
        ("ClockSetting", {"mode": "real", "advance": "P1D"}, False),
        ("ClockSetting", {"mode": "frozen"}, True),
        ("ClockSetting", {"mode": "frozen", "at": "2026-04-18T09:18:44+02:00"}, True),
        ("ClockSetting", {"mode": "frozen", "offset": "P1D"}, False),
        ("ClockSetting", {"mode": "offset"}, False),
        ("ClockSetting", {"mode": "offset", "offset": "-P1W2DT3H4M5.5S"}, True),
        ("ClockSetting", {"advance": "PT15M"}, True),
        ("ClockSetting", {"advance": "P1M"}, False),
        ("ClockSetting", {"advance": "P"}, False),
        ("FaultCreate", {}, False),
        ("FaultCreate", {"answer": {}}, False),
        ("FaultCreate", {"answer": {"delayMs": 0}}, True),
        ("FaultCreate", {"answer": {"code": "INTERNAL", "message": "x", "delayMs": 0}}, True),
        ("FaultCreate", {"answer": {"code": "INTERNAL", "truncateBody": 1}}, False),
        ("FaultCreate", {"answer": {"dropConnection": True}}, True),
        ("FaultCreate", {"answer": {"dropConnection": False}}, False),
        ("FaultCreate", {"answer": {"dropConnection": True, "retryAfter": 1}}, False),
        ("FaultCreate", {"answer": {"failJob": {"code": "X"}}}, False),
        ("FaultCreate", {"answer": {"delayMs": 0}, "match": {"operation": "getJob"}}, True),
        ("FaultCreate", {"answer": {"delayMs": 0}, "match": {"operation": "getJob", "method": "GET"}}, False),
    ],
)
def test_a_body_is_judged_by_the_document_as_by_the_service(demo, schema, body, fits):
    route = {
        "InfluencerPatch": ("PATCH", "/v1/influencers/x"),
        "EmptyBody": ("DELETE", "/v1/projects/x"),
        "Presign": ("POST", "/v1/projects/x/media/presign"),
        "InlineMedia": ("POST", "/v1/projects/x/media"),
        "ProjectPatch": ("PATCH", "/v1/projects/x"),
        "Reset": ("POST", "/_standin/reset"),
        "SnapshotCreate": ("POST", "/_standin/snapshots"),
        "LogSetting": ("PUT", "/_standin/requests"),
        "ClockSetting": ("PUT", "/_standin/clock"),
        "FaultCreate": ("POST", "/_standin/faults"),
    }[schema]

    faults = Conformance(DOCUMENT).schema_faults(body, SCHEMAS[schema])

    response = demo.open(route[1], method=route[0], json=body)
    assert (faults == []) == fits
    assert response.status_code in ((200, 201, 404) if fits else (422,))


def test_a_query_and_its_defaults_are_told():
    limit = parameters(BY_ID["listProjects"][2], "query")["limit"]
    assert limit["schema"] == {"type": "integer", "default": 25, "minimum": 1, "maximum": 200}
    assert not limit["required"]


def test_what_changes_something_takes_an_idempotency_key_and_what_is_tagged_an_if_none_match():
    for operation in operations:
        headers = set(parameters(BY_ID[operation.name][2], "header"))
        assert ("Idempotency-Key" in headers) == operation.changes
        assert ("If-None-Match" in headers) == ("If-Match" in headers) == operation.tagged


# Examples


REQUESTS = [
    (name, example)
    for name, (_, _, told) in BY_ID.items()
    for content in told.get("requestBody", {}).get("content", {"": {}}).values()
    for example in content.get("examples", {None: {}})
    if name != "putUpload"  # its permission is a signature, of which there can be no example
]
REPLIES = [
    (name, status, example)
    for name, (_, _, told) in BY_ID.items()
    for status, response in told["responses"].items()
    for content in response.get("content", {}).values()
    for example in content.get("examples", [])
]


def send(client, name: str, body: Any = None, /, **values: str):
    """Make a call; parameters that are not given are those of the document's examples."""
    method, path, told = BY_ID[name]
    for parameter in parameters(told, "path").values():
        value = values.get(parameter["name"]) or parameter["example"]
        path = path.replace(f"{{{parameter['name']}}}", quote(value))
    query = {
        name: values.get(name) or parameter["schema"]["example"]
        for name, parameter in parameters(told, "query").items()
        if name in values or parameter["required"]
    }
    content = {} if body is None else {"json": body}
    return client.open(f"{path}?{urlencode(query)}", method=method.upper(), headers=DEMO, **content)


def bodies(name: str) -> dict[str, Any]:
    """Return the examples of an operation's body."""
    content = BY_ID[name][2].get("requestBody", {}).get("content", {}).get("application/json", {"examples": {}})
    return {example: told["value"] for example, told in content["examples"].items()}


@pytest.mark.parametrize(("name", "example"), REQUESTS)
def test_the_service_accepts_every_example(client, rooms, name, example):
    plant_examples(rooms)

    with send(client, name, bodies(name).get(example)) as response:
        assert response.status_code < 300


def test_every_body_has_an_example():
    assert {name for name, example in REQUESTS if example is not None} == {
        name for name, (_, _, told) in BY_ID.items() if "requestBody" in told and name != "putUpload"
    }


@pytest.mark.parametrize(("name", "status", "example"), REPLIES)
def test_every_example_of_a_reply_is_as_its_schema_says(name, status, example):
    content = BY_ID[name][2]["responses"][status]["content"]["application/json"]
    assert Conformance(DOCUMENT).schema_faults(content["examples"][example]["value"], content["schema"]) == []


def test_every_json_reply_has_an_example():
    for _, _, told in TOLD:
        for response in told["responses"].values():
            for content_type, content in response.get("content", {}).items():
                assert content_type == "*/*" or content["examples"]


# Links


LINKS = [
    (name, status, link)
    for name, (_, _, told) in BY_ID.items()
    for status, response in told["responses"].items()
    for link in response.get("links", {})
]
# Where a link leads to, if not to a success: what was deleted is gone, and nobody has sent the bytes.
REFUSED = {
    ("deleteInfluencer", "getInfluencer"): 404,
    ("presignUpload", "finalizeUpload"): 409,
    ("setWebhookEndpoint", "sendWebhookTest"): 409,  # it was paused
    **{("deleteKey", other): 404 for other in ("killKey", "rotateKey", "deleteKey")},
}


def found_in(expression: Any, source: str, reply: Any) -> Any:
    """Return what a link's expression stands for, when its source was called with the document's examples."""
    if isinstance(expression, dict):
        return {name: found_in(each, source, reply) for name, each in expression.items()}
    if parameter := re.fullmatch(r"\$request\.path\.(\w+)", expression):
        return parameters(BY_ID[source][2], "path")[parameter[1]]["example"]
    for key in expression.removeprefix("$response.body#/").split("/"):
        reply = reply[int(key) if key.isdigit() else key]
    return reply


@pytest.mark.parametrize(("name", "status", "link"), LINKS)
def test_every_link_can_be_followed(client, rooms, name, status, link):
    plant_examples(rooms)
    told = BY_ID[name][2]["responses"][status]["links"][link]
    target = told["operationId"]
    first = next(iter(bodies(name).values()), None)

    reply = send(client, name, first, limit="1")
    values = {each: found_in(expression, name, reply.json) for each, expression in told["parameters"].items()}
    body = found_in(told["requestBody"], name, reply.json) if "requestBody" in told else None
    followed = send(client, target, body or next(iter(bodies(target).values()), None), **values)

    assert reply.status_code == int(status)
    assert followed.status_code == REFUSED.get((name, target), followed.status_code)
    assert followed.status_code < 300 or (name, target) in REFUSED


def test_what_a_reply_names_can_be_asked_for():
    created = BY_ID["createInfluencer"][2]["responses"]["202"]["links"]
    assert set(created) == {
        "getJob",
        "cancelJob",
        "getInfluencer",
        "patchInfluencer",
        "deleteInfluencer",
        "attachReferenceImages",
        "cloneInfluencer",
    }
    assert created["getJob"]["parameters"] == {"jobId": "$response.body#/jobId"}


# The client of all tests, which holds responses against it


def answer(status: int, body: Any, **headers: str) -> TestResponse:
    """Return a response to GET /v1/whoami."""
    own = {"X-Request-Id": "req_01HXZE8R5T7W9Y1A3C5E7G9J1K", "X-RateLimit-Endpoint-Class": "read-light"}
    named = own | {name.replace("_", "-"): text for name, text in headers.items()}
    sent = {name: text for name, text in named.items() if text}
    given = Response(orjson.dumps(body), status, sent, mimetype="application/json")
    return Client(given, TestResponse).get("/v1/whoami")


@pytest.mark.parametrize(
    ("response", "faults"),
    [
        (answer(200, WHO_AM_I), []),
        (answer(200, WHO_AM_I, X_RateLimit_Limit="120"), []),
        (answer(201, WHO_AM_I), ["status 201 is not told"]),
        (answer(404, {}), ["status 404 is not told"]),
        (answer(200, WHO_AM_I, X_Request_Id=""), ["header X-Request-Id is missing"]),
        (answer(200, WHO_AM_I, X_RateLimit_Endpoint_Class="fast"), ["$: 'fast' is not one of ['read-light']"]),
        (
            answer(401, NO_KEY, X_RateLimit_Endpoint_Class="write-light"),
            ["$: 'write-light' is not one of ['read-light']"],
        ),
        (answer(200, WHO_AM_I, X_RateLimit_Limit="-1"), ["$: -1 is less than the minimum of 0"]),
        (answer(200, WHO_AM_I, ETag='"x"'), ["header ETag is not told"]),
        (answer(200, WHO_AM_I | {"scopes": ["all"]}), ["$.scopes[0]: 'all' is not one of " + str([*SCOPES, "*"])]),
    ],
)
def test_a_response_that_is_not_as_told_is_found(response, faults):
    assert Conformance(DOCUMENT).faults("GET", "/v1/whoami", response) == faults


# Another table of operations


def test_a_part_without_keys_has_its_own_security_and_refusals():
    part = partner_api([operation for operation in operations if operation.name == "getProject"])
    open_part = part._replace(security=lambda _: [], errors=["Internal"], routes={}, idempotent=False)

    made = openapi_document([open_part], SERVER)
    told = resolved(made["paths"]["/v1/projects/{projectId}"]["get"], made)

    assert told["security"] == []
    assert sorted(told["responses"]) == ["200", "403", "404", "500"]
    assert "X-RateLimit-Limit" not in told["responses"]["200"]["headers"]


# How it is served


def test_anyone_gets_it_at_the_url_they_asked_by(client):
    response = client.get("/openapi.json", base_url="https://stand-in.example")

    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.json == DOCUMENT | {"servers": [{"url": "https://stand-in.example"}]}


def test_it_tells_the_public_url_if_there_is_one(rooms, settings):
    public = replace(settings, public_url="https://public.example/layers")
    client = create_app(Services(rooms.store, rooms.media, public)).test_client()

    assert client.get("/openapi.json").json["servers"] == [{"url": "https://public.example/layers"}]


def test_who_has_it_is_told_so(client):
    first = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/openapi.json", base_url="http://other.example").headers["ETag"] != first.headers["ETag"]


def test_a_key_is_not_asked_for_and_not_looked_at(client, store, organization):
    for headers in ({}, {"X-Api-Key": "no key"}, key_of(store, organization)):
        assert client.get("/openapi.json", headers=headers).status_code == 200


@pytest.mark.slow
def test_the_command_line_prints_the_same(tmp_path, client):
    folder = tmp_path / "nowhere"
    printed = run(folder, "layers_standin", "openapi", "--server", "http://localhost/")

    assert (printed.returncode, printed.stderr) == (0, "")
    assert orjson.loads(printed.stdout) == client.get("/openapi.json").json
    assert not folder.exists()
    assert orjson.loads(run(folder, "layers_standin", "openapi").stdout)["servers"] == [
        {"url": "http://127.0.0.1:8000"}
    ]


# The page


def test_the_page_brings_all_it_needs_and_asks_no_one_else(client):
    with client.get("/docs") as response:
        page = response.text
    needed = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert set(needed) == {
        "console",
        "docs/back.css",
        "docs/favicon-32x32.png",
        "docs/swagger-ui.css",
        "docs/swagger-ui-bundle.js",
        "docs/start.js",
        "openapi.json",
    }
    for path in needed:
        with client.get(f"/{path}") as response:
            assert response.status_code == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", page)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/start.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/favicon-32x32.png", "image/png"),
    ],
)
def test_its_files_have_their_types_and_are_sent_only_once(client, path, content_type):
    with client.get(path) as first:
        assert (first.status_code, first.headers["Content-Type"]) == (200, content_type)
        assert first.headers["X-Content-Type-Options"] == "nosniff"
        tag = first.headers["ETag"]
    with client.get(path, headers={"If-None-Match": tag}) as again:
        assert (again.status_code, again.data) == (304, b"")


def test_the_page_may_run_and_load_only_what_comes_from_here(client, rooms, settings):
    with client.get("/docs") as page:
        policy = page.headers["Content-Security-Policy"]
    public = replace(settings, public_url="https://public.example")
    with create_app(Services(rooms.store, rooms.media, public)).test_client().get("/docs") as page:
        public_policy = page.headers["Content-Security-Policy"]

    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert "'unsafe" not in policy
    assert rules["connect-src"] == "'self'"
    assert "connect-src 'self' https://public.example/;" in public_policy


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/index.html", "/docs/x", "/docs/..%2Fapp.py", "/docs/%2Fetc%2Fpasswd"]
)
def test_the_page_has_no_other_files(client, path):
    assert refused(client.get(path))["status"] == 404


def test_the_scopes_told_are_those_there_are():
    assert SCHEMAS["WhoAmI"]["properties"]["scopes"]["items"]["enum"] == [*SCOPES, "*"]
