"""Every example of the document sent once, and what else it takes to see each reply that is told."""

from conftest import DEMO
from werkzeug.wrappers import Response

from contract.answers import Answers
from contract.documented import OPERATIONS
from contract.service import JOB_SECONDS, Service
from layers_standin.conform.document import Told

GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00"
GIF += b"\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
UPLOAD = {"kind": "image", "mimeType": "image/gif"}


def send_examples(service: Service, answers: Answers) -> None:
    """Send every example body, each to a service as it was in the beginning, and count those that are accepted."""
    for told in OPERATIONS:
        for body in told.bodies:
            service.fresh()
            answers.accepted[told.id] += _send(service, told, body).status_code < 300


def _send(service: Service, told: Told, body: object) -> Response:
    if told.id == "putUpload":  # its permission is a signature, of which there can be no example
        return put(service, presigned(service))
    return service.ask(told, body)


def presigned(service: Service, **promises: object) -> tuple[str, str]:
    """Presign an upload; return its id, and the signature that lets its bytes in."""
    upload = service.ask("presignUpload", UPLOAD | promises).json
    return upload["uploadId"], upload["uploadUrl"].rpartition("/")[2]


def put(service: Service, upload: tuple[str, str], data: bytes = GIF) -> Response:
    """Send the bytes of a presigned upload."""
    return service.ask("putUpload", data=data, headers={"Content-Type": "image/gif"}, signature=upload[1])


def see_other_replies(service: Service) -> None:
    """Ask for the replies that are not an example's."""
    for told in OPERATIONS:
        service.fresh()
        if told.takes("header", "If-None-Match"):
            tag = service.ask(told).headers["ETag"]
            service.ask(told, headers=DEMO | {"If-None-Match": tag})
        if told.takes("header", "Idempotency-Key"):
            for _ in range(2):
                service.ask(told, told.bodies[0], headers=DEMO | {"Idempotency-Key": "once"})
        if told.takes("header", "Range"):
            service.ask(told, headers={"Range": "bytes=0-1"})
    for passed in (0, 1):
        service.ask("cancelJob", jobId=begun_job(service, passed))


def begun_job(service: Service, passed: float) -> str:
    """Begin a job and let this part of it pass, for the clock has stopped; return its id."""
    service.ask("setClock", {"mode": "frozen"})
    job = service.ask("createInfluencer", {"name": "Rui"}).json
    service.ask("setClock", {"advance": f"PT{JOB_SECONDS * passed}S"})
    return str(job["jobId"])
