"""A provocation for every refusal that the document tells; what it does is its first line, which the page quotes.

By rule, for every operation that can meet a refusal, wherever no operation needs a way of its own.
"""

from collections.abc import Callable
from typing import Any

from conftest import DEMO
from werkzeug.wrappers import Response

from contract.answers import Answers
from contract.documented import OPERATIONS
from contract.replies import GIF, begun_job, presigned, put
from contract.service import Running, path_of
from layers_standin.conform.document import Told
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.openapi import examples
from layers_standin.web.errors import MAX_BODY_BYTES
from layers_standin.web.limits import PER_MINUTE

Provocation = Callable[[Running, Told], list[Response]]  # returns what should be the refusal, each of it

UNKNOWN = "unknown"
_MOST_FAULTS = 100
_MOST_REQUESTS = max(PER_MINUTE["standard"].values()) + 1

_PIXEL = examples.REQUESTS["InlineMedia"]["a pixel"]

# As good as the first example, where that is the only one.
_OTHER_BODIES: dict[str, Any] = {
    "attachReferenceImages": {"assetIds": examples.PICTURES[:1]},
    "cloneInfluencer": {"name": "Another"},
    "patchProject": {"name": "Another"},
    "finalizeUpload": {"uploadId": "upl_01HXZFB3D5F7H9K1N3Q5S7V9X2"},
    "rejectContent": {"reason": "Too loud."},
    "publishContent": {"targets": [{"socialAccountId": examples.ACCOUNT, "mode": "draft_to_device"}]},
    "registerInstallation": {"installationId": 1, "state": examples.STATE},
    "reschedulePost": {"scheduledFor": "2030-06-01T12:00:00Z"},
    "uploadInline": {"kind": "image", "mimeType": "image/gif", "dataBase64": _PIXEL["dataBase64"]},
}


def provoke(services: Running, answers: Answers) -> None:
    """Provoke every refusal of every operation, but for the crashes; each in a service as it was in the beginning."""
    for told in OPERATIONS:
        for name in told.refusals:
            if name in PROVOCATIONS:
                services.plain.fresh()
                for response in PROVOCATIONS[name](services, told):
                    answers.expect(told, name, response)


# Who asks


def no_key(services: Running, told: Told) -> list[Response]:
    """No key is sent, then one that is none."""
    headers: list[dict[str, str]] = [{}, {"X-Api-Key": "lp_test_wrong"}]
    return [services.plain.ask(told, told.bodies[0], headers=each) for each in headers]


def killed_key(services: Running, told: Told) -> list[Response]:
    """A key is sent that is switched off."""
    return [services.plain.ask(told, told.bodies[0], headers={"X-Api-Key": services.plain.keys.killed})]


def key_without_scope(services: Running, told: Told) -> list[Response]:
    """A key is sent that has no scope."""
    return [services.plain.ask(told, told.bodies[0], headers={"X-Api-Key": services.plain.keys.scopeless})]


def one_too_many(services: Running, told: Told) -> list[Response]:
    """With limits on and the clock stopped, it is asked until it is too much."""
    services.strict.ask("setClock", {"mode": "frozen", "at": "2026-04-18T09:18:44Z"})
    response = services.strict.ask(told, told.bodies[0])
    for _ in range(_MOST_REQUESTS):
        if response.status_code == 429:
            break
        response = services.strict.ask(told, told.bodies[0])
    return [response]


def no_token(services: Running, told: Told) -> list[Response]:
    """A token is set, and none is sent, then another."""
    headers: list[dict[str, str]] = [{}, {"Authorization": "Bearer another-token-than-that"}]
    return [services.strict.ask(told, told.bodies[0], headers=each) for each in headers]


def not_from_here(services: Running, told: Told) -> list[Response]:
    """It comes through a proxy, then from a page of another origin."""
    headers = [{"X-Forwarded-For": "192.0.2.1"}, {"Origin": "http://another.example"}]
    return [services.plain.ask(told, told.bodies[0], headers=each) for each in headers]


def bad_signature(services: Running, told: Told) -> list[Response]:
    """The signature is none of ours, then for another type, then 15 minutes old."""
    upload_id, signature = presigned(services.plain)
    forged = services.plain.ask(told, data=GIF, signature="forged")
    other_type = services.plain.ask(told, data=GIF, headers={"Content-Type": "image/png"}, signature=signature)
    services.plain.ask("setClock", {"advance": "PT15M"})
    return [forged, other_type, put(services.plain, (upload_id, signature))]


# What is asked for


def unknown_thing(services: Running, told: Told) -> list[Response]:
    """What its path names is unknown, of another organization, or deleted; the control plane is switched off."""
    if told.id == "putUpload":
        return _forgotten_upload(services)
    plain = services.plain
    if told.id == "createWebhookEndpoint":
        return [plain.ask(told, told.bodies[0] | {"projectId": UNKNOWN})]
    named = told.values.keys() - ({"name"} if told.id == "getMedia" else set())  # any name will do for a file
    unknown = {"inbox": "no.name"}  # an inbox is there as soon as its name is said
    refused = [plain.ask(told, told.bodies[0], **{name: unknown.get(name, UNKNOWN)}) for name in sorted(named)]
    if told.is_control:
        return [*refused, services.closed.ask(told, told.bodies[0])]
    if told.id == "getMedia":
        return refused
    refused.append(plain.ask(told, told.bodies[0], headers={"X-Api-Key": plain.keys.foreign}))
    if "influencerId" in told.values:
        plain.ask("deleteInfluencer")
        refused.append(plain.ask(told, told.bodies[0]))
    return refused


def _forgotten_upload(services: Running) -> list[Response]:
    upload = presigned(services.plain)
    services.plain.fresh()  # in the beginning there was no such upload
    return [put(services.plain, upload)]


def other_tag(services: Running, told: Told) -> list[Response]:
    """`If-Match` names another ETag than that of the reply."""
    return [services.plain.ask(told, headers=DEMO | {"If-Match": '"another"'})]


def part_beyond_the_end(services: Running, told: Told) -> list[Response]:
    """The part asked for begins after the end of the file."""
    return [services.plain.ask(told, headers={"Range": "bytes=999999999-"})]


def wrong_content(services: Running, told: Told) -> list[Response]:
    """A field is unknown in the body, or else the query is wrong; of an upload, the bytes end early."""
    if told.id == "putUpload":
        return [_cut_off(services, told)]
    if told.takes_body:
        return [services.plain.ask(told, {"unheardOf": True})]
    return [services.plain.ask(told, query={"unheardOf": "1"} if told.is_control else {"limit": "0"})]


def _cut_off(services: Running, told: Told) -> Response:
    """Send fewer bytes than were announced, which no HTTP client does."""
    _, signature = presigned(services.plain)
    path = path_of(told, {"signature": signature})
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/gif\r\nContent-Length: {len(GIF)}\r\n\r\n"
    return services.plain.send(told, head.encode() + GIF[:-1])


def too_large(services: Running, told: Told) -> list[Response]:
    """The body is a byte over 1 MiB; of an upload, a byte over what was declared."""
    if told.id == "putUpload":
        return [put(services.plain, presigned(services.plain, sizeBytes=len(GIF) - 1))]
    return [services.plain.ask(told, data=b" " * (MAX_BODY_BYTES + 1))]


# What it meets


def same_key_other_body(services: Running, told: Told) -> list[Response]:
    """Two bodies come under one Idempotency-Key."""
    first, *others = [*told.bodies, _OTHER_BODIES.get(told.id)]
    return _under_one_key(services, told, first, others[0])


def repeated_secret(services: Running, told: Told) -> list[Response]:
    """A request whose reply held a secret is repeated under its Idempotency-Key."""
    return _under_one_key(services, told, told.bodies[0], told.bodies[0])


def _under_one_key(services: Running, told: Told, first: Any, second: Any) -> list[Response]:
    headers = DEMO | {"Idempotency-Key": "once"}
    services.plain.ask(told, first, headers=headers)
    return [services.plain.ask(told, second, headers=headers)]


def influencer_id_again(services: Running, told: Told) -> list[Response]:
    """The id of an influencer that is there is asked for."""
    field = "influencerId" if told.id == "createInfluencer" else "newInfluencerId"
    return [services.plain.ask(told, {"name": "Ava again", field: examples.AVA})]


def project_id_again(services: Running, told: Told) -> list[Response]:
    """The id of a project that is there is asked for."""
    return [services.plain.ask(told, {"name": "Spring again", "timezone": "UTC", "id": examples.SPRING})]


def container_id_again(services: Running, told: Told) -> list[Response]:
    """The id of a container that is there is asked for, with another body."""
    return [services.plain.ask(told, {"id": examples.CONTAINER})]


def content_under_way(services: Running, told: Told) -> list[Response]:
    """The content is being made again, and the clock stands still."""
    services.plain.ask("setClock", {"mode": "frozen"})
    services.plain.ask(told)
    return [services.plain.ask(told)]


def decided_before(services: Running, told: Told) -> list[Response]:
    """It was approved before."""
    services.plain.ask("approveContent")
    return [services.plain.ask(told, told.bodies[0])]


def rejected_content(services: Running, told: Told) -> list[Response]:
    """The content was rejected before."""
    services.plain.ask("rejectContent", {"reason": "Off brand."})
    return [services.plain.ask(told, told.bodies[0], containerId=examples.CONTAINER)]


def content_not_approved(services: Running, told: Told) -> list[Response]:
    """The content waits for approval."""
    return [services.plain.ask(told, told.bodies[0], containerId=examples.CONTAINER)]


def content_not_completed(services: Running, told: Told) -> list[Response]:
    """The content is still being made, and the clock stands still."""
    services.plain.ask("setClock", {"mode": "frozen"})
    job = services.plain.ask("generateContent", {}).json
    return [services.plain.ask(told, told.bodies[0], containerId=job["containerId"])]


def post_id_again(services: Running, told: Told) -> list[Response]:
    """The id of a post that is there is asked for."""
    (target,) = told.bodies[0]["targets"]
    return [services.plain.ask(told, told.bodies[0] | {"targets": [target | {"scheduledPostId": examples.POST}]})]


def post_canceled_before(services: Running, told: Told) -> list[Response]:
    """The post was canceled before."""
    services.plain.ask("cancelScheduledPost")
    return [services.plain.ask(told, told.bodies[0])]


def url_of_a_stranger(services: Running, told: Told) -> list[Response]:
    """The `returnUrl` is of another machine, and no setting allows it."""
    away = {"returnUrl": "https://app.example.com/"}
    if told.takes("query", "returnUrl"):
        return [services.plain.ask(told, query=away)]
    return [services.plain.ask(told, told.bodies[0] | away)]


def paused_endpoint(services: Running, told: Told) -> list[Response]:
    """The endpoint is paused before."""
    services.plain.ask("patchWebhookEndpoint", {"status": "paused"})
    return [services.plain.ask(told, told.bodies[0])]


def nobody_listens(services: Running, told: Told) -> list[Response]:
    """A delivery is due, and the flush may not wait."""
    services.plain.ask("testWebhookEndpoint", {})
    return [services.plain.ask(told, {"timeoutMs": 0})]


def archived_project(services: Running, told: Told) -> list[Response]:
    """The project is archived before."""
    services.plain.ask("deleteProject")
    return [services.plain.ask(told, told.bodies[0])]


def job_about_to_end(services: Running, told: Told) -> list[Response]:
    """The clock is moved to when 95 % of a job are over."""
    return [services.plain.ask(told, jobId=begun_job(services.plain, passed=0.95))]


def no_bytes_yet(services: Running, told: Told) -> list[Response]:
    """It is finalized before the bytes are sent."""
    upload_id, _ = presigned(services.plain)
    return [services.plain.ask(told, {"uploadId": upload_id})]


def other_bytes(services: Running, told: Told) -> list[Response]:
    """Bytes are sent of another size than was declared, then of another checksum."""
    promises: list[dict[str, object]] = [{"sizeBytes": len(GIF) + 1}, {"checksumSha256": "0" * 64}]
    uploads = [presigned(services.plain, **each) for each in promises]
    for upload in uploads:
        put(services.plain, upload)
    return [services.plain.ask(told, {"uploadId": upload_id}) for upload_id, _ in uploads]


def bytes_after_the_end(services: Running, told: Told) -> list[Response]:
    """The bytes are sent again once the upload is finalized."""
    upload = presigned(services.plain)
    put(services.plain, upload)
    services.plain.ask("finalizeUpload", {"uploadId": upload[0]})
    return [put(services.plain, upload)]


def no_seed(services: Running, told: Told) -> list[Response]:
    """`STANDIN_SEED` is `none`."""
    return [services.seedless.ask(told, {"to": "seed"})]


def hundred_faults(services: Running, told: Told) -> list[Response]:
    """There are 100 faults, and one more is asked for."""
    fault = {"match": {"operation": "putUpload"}, "answer": {"delayMs": 0}}
    services.plain.ask("deleteFaults")
    for _ in range(_MOST_FAULTS):
        services.plain.ask(told, fault)
    return [services.plain.ask(told, fault)]


def same_id_twice(services: Running, told: Told) -> list[Response]:
    """Another organization has an influencer of the same id."""
    foreign = {"X-Api-Key": services.plain.keys.foreign}
    project = services.plain.ask("createProject", {"name": "Other", "timezone": "UTC"}, headers=foreign).json
    body = {"name": "Ava's namesake", "influencerId": examples.AVA}
    services.plain.ask("createInfluencer", body, headers=foreign, projectId=project["id"])
    return [services.plain.ask(told)]


def store_is_gone(services: Running, told: Told) -> list[Response]:
    """The store's file cannot be opened any more while the service runs, or its folder."""
    folder = services.plain.folder
    for place in (folder / DATABASE, folder):
        services.plain.fresh()
        with services.plain.without(place):
            response = services.plain.ask(told, told.bodies[0])
        if response.status_code == 503:  # the first of them that it needs
            break
    return [response]


PROVOCATIONS: dict[str, Provocation] = {
    "Unauthenticated": no_key,
    "NoControlToken": no_token,
    "ForbiddenScope": key_without_scope,
    "Forbidden": bad_signature,
    "NotFromHere": not_from_here,
    "NotFound": unknown_thing,
    "IdempotencyConflict": same_key_other_body,
    "SecretNotKept": repeated_secret,
    "InfluencerIdTaken": influencer_id_again,
    "ProjectIdTaken": project_id_again,
    "ContainerIdTaken": container_id_again,
    "ContainerNotFinished": content_under_way,
    "NotPending": decided_before,
    "ContentIsRejected": rejected_content,
    "ApprovalRequired": content_not_approved,
    "ContainerNotCompleted": content_not_completed,
    "PostIdTaken": post_id_again,
    "PostNotQueued": post_canceled_before,
    "ReturnUrlNotAllowed": url_of_a_stranger,
    "ProjectIsArchived": archived_project,
    "JobNotCancelable": job_about_to_end,
    "UploadMissing": no_bytes_yet,
    "UploadMismatch": other_bytes,
    "UploadFinalized": bytes_after_the_end,
    "EndpointIsPaused": paused_endpoint,
    "FlushTimedOut": nobody_listens,
    "NoSeed": no_seed,
    "TooManyFaults": hundred_faults,
    "AmbiguousId": same_id_twice,
    "PayloadTooLarge": too_large,
    "PreconditionFailed": other_tag,
    "NoSuchPart": part_beyond_the_end,
    "Invalid": wrong_content,
    "RateLimited": one_too_many,
    "KillSwitch": killed_key,
    "Unavailable": store_is_gone,
}
