"""One attempt at a delivery: a POST to an address that was checked, within a time and a size."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from layers_standin.domain.deliveries import Answer
from layers_standin.webhooks.targets import Refused, Target, check_addresses, look_up, parse

if TYPE_CHECKING:  # nothing is spent on it while there is no endpoint
    import httpx
    from httpcore import AsyncNetworkStream

DEADLINE_SECONDS = 10.0
MAX_ANSWER_BYTES = 64 << 10
MAX_READ_BYTES = 2 * MAX_ANSWER_BYTES  # with all heads: interim answers (1xx) may come without end
_PART_BYTES = 64  # that a part of an answer counts at least, for it costs time


async def send(
    url: str, headers: Mapping[str, str], body: bytes, allowed: str, seconds: float = DEADLINE_SECONDS
) -> Answer:
    """Post a body, and return the answer to it. Success is a 2xx within the seconds, which are for all there is to do.

    `allowed` is the setting STANDIN_WEBHOOK_TARGETS.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _send(parse(url), headers, body, allowed, seconds)
    except TimeoutError:
        return Answer(None, f"There was no complete answer within {seconds:g} s.")
    except Refused as refusal:
        return Answer(None, f"Not sent, for the URL is not allowed: {refusal}")


async def _send(target: Target, headers: Mapping[str, str], body: bytes, allowed: str, seconds: float) -> Answer:
    import httpx  # noqa: PLC0415

    try:
        addresses = await asyncio.wrap_future(look_up(target.host))
    except OSError:
        return Answer(None, f"The name {target.host} does not resolve.")
    check_addresses(target.host, addresses, allowed)
    try:
        tls = _tls() if target.scheme == "https" else _no_tls()
    except OSError as error:
        return Answer(None, f"The certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error.strerror}.")
    failure: Exception | None = None
    share = seconds / len(addresses) if len(addresses) > 1 else None  # of a single one the deadline is the only limit
    for address in addresses:
        try:
            return await _post(_request(target, address, headers, body, share), tls)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # nothing was sent: perhaps the next one listens
            failure = failure or error
        except (httpx.HTTPError, ssl.SSLError):
            return Answer(None, "The connection was closed before there was a complete answer, or it is none of HTTP.")
    return Answer(None, _why_unconnected(failure))


def _request(
    target: Target, address: str, headers: Mapping[str, str], body: bytes, seconds: float | None
) -> "httpx.Request":
    """Return a request to an address; the Host header and the name that its certificate must have are the URL's."""
    import httpx  # noqa: PLC0415

    return httpx.Request(
        "POST",
        httpx.URL(scheme=target.scheme, host=address, port=target.port, raw_path=target.path.encode()),
        headers={"Host": target.netloc, "User-Agent": "layers-stand-in", **headers},
        content=body,
        extensions={"sni_hostname": target.host.rstrip("."), "timeout": {"connect": seconds}},
    )


async def _post(request: "httpx.Request", tls: ssl.SSLContext) -> Answer:
    """Send a request by a transport alone: it follows no redirects, and looks at no proxies and no environment."""
    import httpx  # noqa: PLC0415

    opened: list[AsyncNetworkStream] = []

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            opened.append(_bounded(info["return_value"]))

    request.extensions["trace"] = trace
    try:
        async with httpx.AsyncHTTPTransport(verify=tls, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            await _read(response)
    finally:
        for stream in opened:  # httpcore leaves it open when the deadline comes in the midst of a TLS handshake
            await stream.aclose()
    return Answer(response.status_code, _why_failed(response.status_code))


def _bounded(stream: Any) -> Any:
    """Return a stream that ends after MAX_READ_BYTES."""
    read, left = stream.read, MAX_READ_BYTES

    async def bounded(max_bytes: int, timeout: float | None = None) -> bytes:
        nonlocal left
        received: bytes = await read(min(max_bytes, left), timeout) if left else b""
        left -= len(received)
        return received

    stream.read = bounded
    return stream


async def _read(response: "httpx.Response") -> None:
    """Read an answer, so that the receiver can say it to its end, but not more than MAX_ANSWER_BYTES of it."""
    size = 0
    try:
        async for part in response.aiter_raw():
            if (size := size + max(len(part), _PART_BYTES)) >= MAX_ANSWER_BYTES:
                break
    finally:
        await response.aclose()


@lru_cache(1)
def _tls() -> ssl.SSLContext:
    """Return how receivers are verified: by SSL_CERT_FILE or SSL_CERT_DIR, else by the roots that httpx brings."""
    import httpx  # noqa: PLC0415

    return httpx.create_ssl_context()


@lru_cache(1)
def _no_tls() -> ssl.SSLContext:
    """Return the context of connections without TLS: the transport would make one for each, a tenth of an attempt."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _why_failed(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return f"The receiver answered {status}{', and redirects are not followed' if 300 <= status < 400 else ''}."


def _why_unconnected(failure: BaseException | None) -> str:
    """Return a sentence on the innermost cause of a failure to connect."""
    cause = failure
    while (inner := cause and (cause.__cause__ or cause.__context__)) is not None:
        cause = inner
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The receiver's certificate is not valid: {cause.verify_message}."
    if isinstance(cause, ssl.SSLError):
        return "The receiver does not speak TLS as it should."
    reason = f": {os.strerror(cause.errno)}" if isinstance(cause, OSError) and cause.errno else ""
    return f"The receiver takes no connection{reason}."
