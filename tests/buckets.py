"""An S3 server on loopback, moto's, that looks at signatures and clocks as the real one does: moto itself does not."""

import hmac
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import httpx
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer

KEY_ID, SECRET, REGION = "AKIASTANDINTESTS", "a-secret-of-the-tests/that-is-never-told", "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}


class Guard:
    """Refuses what S3 would refuse, and what `refuses()` says; remembers what was asked: (method, path, range)."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.ahead = timedelta()
        self.refuses: Callable[[], bool] = lambda: False
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE", "")))
        fault = "AccessDenied" if self.refuses() else self._fault(environ)
        if fault is None:
            return self._app(environ, start_response)
        with suppress(OSError):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = f"<Error><Code>{fault}</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>".encode()
        start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    def _fault(self, environ: dict[str, Any]) -> str | None:
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        if "X-Amz-Signature" in query:
            return self._fault_of_signed(environ, query)
        if environ["PATH_INFO"].count("/") == 1 and environ["REQUEST_METHOD"] == "PUT":
            return None  # how a test makes a bucket
        sent = environ.get("HTTP_AUTHORIZATION", "")
        return None if f"Credential={KEY_ID}/" in sent else "InvalidAccessKeyId"

    def _fault_of_signed(self, environ: dict[str, Any], query: dict[str, str]) -> str | None:
        given, host = query.pop("X-Amz-Signature"), environ["HTTP_HOST"]
        url = f"http://{host}{environ['PATH_INFO']}?{urlencode(query)}"
        request = AWSRequest(environ["REQUEST_METHOD"], url, {"host": host})
        request.context["timestamp"] = query.get("X-Amz-Date", "")
        signer = S3SigV4QueryAuth(Credentials(KEY_ID, SECRET), "s3", REGION)
        expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        if not hmac.compare_digest(expected, given):
            return "SignatureDoesNotMatch"
        signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        end = signed_at + timedelta(seconds=int(query["X-Amz-Expires"]))
        return "AccessDenied" if datetime.now(UTC) + self.ahead >= end else None


class BucketServer:
    """moto's server behind the guard."""

    def __init__(self) -> None:
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        host, port = self._moto.get_host_and_port()
        self.url = f"http://{host}:{port}"
        assert self._moto._server is not None
        self.guard = self._moto._server.app = Guard(self._moto._server.app)

    def new_bucket(self) -> str:
        name = f"bucket-{uuid4().hex}"
        body = (
            f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        )
        httpx.put(f"{self.url}/{name}", content=body).raise_for_status()
        return name

    def stop(self) -> None:
        self._moto.stop()
