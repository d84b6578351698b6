"""Where events may be posted: an endpoint's URL is judged when it is given, and its addresses at each attempt."""

import re
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Thread
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from layers_standin.domain.tables import INBOX_NAME
from layers_standin.settings import LOCAL

MAX_URL = 2048
LOOK_UP_SECONDS = 5.0
NO_URL = "Must be a URL like https://host.example/hook, with http or https and a host."
NO_CONTROL = "Must not be the control plane; of what is below /_standin only /_standin/inbox/<name> takes events."
NEVER = "has a link-local, metadata, multicast or unspecified address, which is never allowed."

_NAME = re.compile(r"(?=.{1,253}\.?$)[0-9a-z_-]{1,63}(\.[0-9a-z_-]{1,63})*\.?", re.IGNORECASE)
_INBOX = re.compile(rf"[^%]*/_standin/inbox/{INBOX_NAME.pattern}")
_LOCALHOST = ["127.0.0.1", "::1"]
_METADATA_NAMES = ("metadata.google.internal", "metadata.goog")
_NEVER = [
    ip_network(text)
    for text in (
        *("169.254.0.0/16", "fe80::/10"),  # link-local: the metadata of most clouds
        *("fd00:ec2::/32", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42"),  # of AWS, Google, Oracle, Scaleway
        *("100.100.100.200", "192.0.0.192", "168.63.129.16"),  # of Alibaba, Oracle (older), Azure
        *("0.0.0.0/8", "::/128", "255.255.255.255"),  # unspecified, broadcast
        *("224.0.0.0/4", "ff00::/8"),  # multicast
        "64:ff9b:1::/48",  # a site's own NAT64: which IPv4 address it stands for cannot be told
    )
]
_EMBEDDING = [ip_network(text) for text in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")]  # NAT64, SIIT, IPv4-compatible

Address = IPv4Address | IPv6Address


class Refused(Exception):
    """Events may not be posted there; the message is a sentence for the field `url`."""


class Target(NamedTuple):
    """The parts of a URL, in ASCII. `netloc` is the value of the Host header, `path` has the query too."""

    scheme: str
    host: str
    port: int
    netloc: str
    path: str


def parse(url: str) -> Target:
    """Return the parts of an endpoint's URL. Raises Refused where it is none, or the control plane's."""
    if len(url) > MAX_URL:
        raise Refused(f"Must have at most {MAX_URL} characters.")
    if not url.isprintable() or " " in url or "\\" in url:  # programs differ in the host that they see in such a URL
        raise Refused("Must have no spaces, backslashes and control characters.")
    if "#" in url:
        raise Refused("Must have no fragment: it would not be sent.")
    try:
        parts = urlsplit(url)
        scheme, port = parts.scheme, parts.port
        host = _ascii_host(parts)
    except ValueError:  # no IPv6 address in brackets, no port, no name
        raise Refused(NO_URL) from None
    if scheme not in ("http", "https") or port == 0:
        raise Refused(NO_URL)
    if "@" in parts.netloc:
        raise Refused("Must have no user name and password: the signature shows who sends.")
    if host.lower().rstrip(".") in _METADATA_NAMES:
        raise Refused(f"{host} {NEVER}")
    if _is_control_plane(parts.path):
        raise Refused(NO_CONTROL)
    netloc = f"[{host}]" if ":" in host else host
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + ("?" if parts.query else "")
    path += quote(parts.query, safe="/%:@!$&'()*+,;=~?[]")
    return Target(scheme, host, port or {"http": 80, "https": 443}[scheme], netloc + (f":{port}" if port else ""), path)


def check_url(url: str, allowed: str) -> None:
    """Raise Refused unless events may be posted to a URL: to this machine alone where `allowed` is LOCAL.

    A name that does not resolve may be one of a machine that is not up yet, but cannot be shown to be this one's.
    """
    host = parse(url).host
    try:
        addresses = look_up(host).result(LOOK_UP_SECONDS)
    except (OSError, TimeoutError):
        if allowed == LOCAL:
            raise Refused(f"{host} must be a name of this machine, but does not resolve.") from None
        return
    check_addresses(host, addresses, allowed)


def check_addresses(host: str, addresses: Sequence[str], allowed: str) -> None:
    """Raise Refused unless events may be posted to each of a host's addresses."""
    for address in map(ip_address, addresses):
        if any(each in network for each in _forms(address) for network in _NEVER):
            raise Refused(f"{host} {NEVER}")
        if allowed == LOCAL and not _is_own(address):
            raise Refused(f"{host} is not this machine; STANDIN_WEBHOOK_TARGETS=any allows others.")


def look_up(host: str) -> Future[list[str]]:
    """Return the addresses of a host, as they will be. The future has an OSError where there are none.

    Each name is looked up by a thread of its own, that nobody waits for at the end: a resolver may take half a minute.
    """
    future: Future[list[str]] = Future()
    future.set_running_or_notify_cancel()  # so a caller that gives up leaves the thread a future to fill
    try:
        future.set_result(_LOCALHOST if _is_localhost(host) else _resolve(host, socket.AI_NUMERICHOST))  # no waiting
    except OSError:
        Thread(target=_fill, args=(future, host), daemon=True).start()
    return future


def _fill(future: Future[list[str]], host: str) -> None:
    try:
        future.set_result(_resolve(host, 0))
    except OSError as error:
        future.set_exception(error)


def _is_localhost(host: str) -> bool:
    """Whether a name is of loopback by RFC 6761; not every resolver knows all of them."""
    return f".{host}".lower().rstrip(".").endswith(".localhost")


def _resolve(host: str, flags: int) -> list[str]:
    found = socket.getaddrinfo(host.encode(), None, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _ascii_host(parts: SplitResult) -> str:
    """Return a URL's host as it is resolved and sent. Raises ValueError where it is none."""
    host = parts.hostname or ""
    if "[" in parts.netloc:
        return str(IPv6Address(host.partition("%")[0]))
    if not host.isascii():
        host = _encoded(host)
    if not _NAME.fullmatch(host):
        raise ValueError(host)
    return host


def _encoded(host: str) -> str:
    import httpx  # noqa: PLC0415  # nothing is spent on it while there is no endpoint

    try:
        return httpx.URL(scheme="http", host=host).raw_host.decode()
    except httpx.InvalidURL as error:
        raise ValueError(host) from error


def _is_control_plane(path: str) -> bool:
    """Whether a path, in the spelling of any program that may pass it on, is the control plane's, and no inbox."""
    decoded = unquote(path)
    while decoded != (decoded := unquote(decoded)):
        pass
    segments = [segment.casefold() for segment in re.split(r"[/\\;]", decoded)]
    return segments.count("_standin") > 1 or ("_standin" in segments and not _INBOX.fullmatch(path))


def _forms(address: Address) -> list[Address]:
    """Return an address and the IPv4 addresses that it stands for."""
    if isinstance(address, IPv4Address) or address.is_loopback:
        return [address]
    held = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _EMBEDDING):
        held.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *filter(None, held)]


def _is_own(address: Address) -> bool:
    """Whether an address is one of this machine: what goes there would come from there."""
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))  # sends nothing
            return bool(ip_address(probe.getsockname()[0]) == address)
    except OSError:
        return False
