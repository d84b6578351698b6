"""Where events may be posted: this machine unless `any` is said, and some addresses never."""

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers_standin.settings import ANY, LOCAL
from layers_standin.webhooks.targets import (
    NEVER,
    NO_CONTROL,
    NO_URL,
    Refused,
    Target,
    check_addresses,
    check_url,
    look_up,
    parse,
)

CHARACTERS = "Must have no spaces, backslashes and control characters."
PASSWORD = "Must have no user name and password: the signature shows who sends."


def reason(url, allowed):
    try:
        check_url(url, allowed)
    except Refused as refusal:
        return str(refusal)
    return None


def reason_for(addresses, allowed):
    try:
        check_addresses("host.example", addresses, allowed)
    except Refused as refusal:
        return str(refusal)
    return None


def own_address():
    """Return an address of this machine beside loopback: the one that packets leave from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            pytest.skip("this machine has no address beside loopback")
        return probe.getsockname()[0]


@pytest.mark.parametrize("allowed", [LOCAL, ANY])
@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:3000/hook",
        "http://LOCALHOST/hook?a=1&b=%20",
        "HTTP://localhost.:3000",
        "http://hooks.localhost:3000/",
        "https://127.0.0.1",
        "http://127.5.5.5:65535/",
        "http://[::1]:3000/hook",
        "http://[::ffff:127.0.0.1]/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127\u30020.0.1/",
        "http://localhost/_standin/inbox/mine",
        "http://localhost/below/_standin/inbox/a-b_c1",
        "http://localhost/_standins/clock",
        "http://localhost/hook?next=/_standin",
        "http://localhost/é",
        f"http://localhost/{'a' * 2031}",
    ],
)
def test_this_machine_takes_events(url, allowed):
    assert reason(url, allowed) is None


@pytest.mark.parametrize(
    "url", ["http://10.11.12.13/", "https://[2001:db8::1]:8443/", "http://0x0a.1/", "http://8.8.8.8"]
)
def test_other_machines_are_for_those_who_said_any(url):
    host = parse(url).host
    assert reason(url, LOCAL) == f"{host} is not this machine; STANDIN_WEBHOOK_TARGETS=any allows others."
    assert reason(url, ANY) is None


def test_every_address_of_the_machine_is_its_own():
    assert reason(f"http://{own_address()}:3000/", LOCAL) is None


def test_an_address_beside_the_own_one_is_another_machines():
    neighbour = str(ip_address(int(ip_address(own_address())) ^ 1))
    assert reason_for([neighbour], LOCAL) is not None


@pytest.mark.parametrize("host", ["no-such-host.invalid", "receiver_1.invalid.", "bücher.invalid"])
def test_a_name_that_does_not_resolve_yet_is_for_those_who_said_any(host):
    url = f"http://{host}:3000/hook"
    assert reason(url, LOCAL) == f"{parse(url).host} must be a name of this machine, but does not resolve."
    assert reason(url, ANY) is None


@pytest.mark.parametrize("allowed", [LOCAL, ANY])
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.170.2",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "169.16689662",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fd00:ec2::254]",
        "[fd00:ec2::23]",
        "[fd20:ce::254]",
        "[fd00:c1::a9fe:a9fe]",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "224.0.0.1",
        "239.255.255.255",
        "[ff02::1]",
        "0.0.0.0",
        "0",
        "0.1.2.3",
        "[::]",
        "255.255.255.255",
        "[::ffff:169.254.169.254]",
        "[::ffff:0.0.0.0]",
        "[::169.254.169.254]",
        "[::ffff:0:169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b::100.100.100.200]",
        "[64:ff9b:1:a9fe:a9:fe00::]",
        "[2002:a9fe:a9fe::1]",
        "[2002:e000:1::]",
        "[2001:0:4136:e378:8000:63bf:5601:5601]",  # Teredo, for 169.254.169.254
    ],
)
def test_some_addresses_never_get_events(host, allowed):
    assert reason(f"http://{host}/hook", allowed) == f"{parse(f'http://{host}/').host} {NEVER}"


@pytest.mark.parametrize(
    ("addresses", "allowed", "is_allowed"),
    [
        (["127.0.0.1", "::1"], LOCAL, True),
        (["127.0.0.1", "10.11.12.13"], LOCAL, False),
        (["10.11.12.13", "127.0.0.1"], LOCAL, False),
        (["127.0.0.1", "10.11.12.13"], ANY, True),
        (["127.0.0.1", "169.254.169.254"], ANY, False),
        (["169.254.169.254", "127.0.0.1"], ANY, False),
        (["::1", "fe80::1%lo"], ANY, False),
        (["64:ff9b::7f00:1"], LOCAL, False),
        (["64:ff9b::8.8.8.8"], ANY, True),
    ],
)
def test_all_addresses_of_a_name_must_be_allowed(addresses, allowed, is_allowed):
    assert (reason_for(addresses, allowed) is None) is is_allowed


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", NO_URL),
        ("localhost:3000", NO_URL),
        ("/hook", NO_URL),
        ("//localhost/hook", NO_URL),
        ("http:", NO_URL),
        ("http://", NO_URL),
        ("http:///hook", NO_URL),
        ("http://:3000/", NO_URL),
        ("http:/localhost/", NO_URL),
        ("ftp://localhost/", NO_URL),
        ("file:///etc/passwd", NO_URL),
        ("gopher://localhost:70/", NO_URL),
        ("http+unix://%2Frun%2Fx.sock/", NO_URL),
        ("http://localhost:0/", NO_URL),
        ("http://localhost:65536/", NO_URL),
        ("http://localhost:http/", NO_URL),
        ("http://localhost:-1/", NO_URL),
        ("http://[::1/", NO_URL),
        ("http://[localhost]/", NO_URL),
        ("http://[v1.x]/", NO_URL),
        ("http://a..b/", NO_URL),
        ("http://.localhost/", NO_URL),
        (f"http://{'a' * 64}.localhost/", NO_URL),
        (f"http://{'a.' * 127}bcd/", NO_URL),
        ("http://local%68ost/", NO_URL),
        ("http://local*host/", NO_URL),
        ("http://\uff11\uff12\uff17.0.0.1/", NO_URL),
        ("http://\u24db.example/", NO_URL),
        ("http://metadata.google.internal/", f"metadata.google.internal {NEVER}"),
        ("http://Metadata.Goog.:80/", f"metadata.goog. {NEVER}"),
        ("http://me@localhost/", PASSWORD),
        ("http://me:secret@localhost/", PASSWORD),
        ("http://@localhost/", PASSWORD),
        ("http://localhost@10.11.12.13/", PASSWORD),
        ("http://localhost/#x", "Must have no fragment: it would not be sent."),
        ("http://localhost/#", "Must have no fragment: it would not be sent."),
        ("http://local host/", CHARACTERS),
        (" http://localhost/", CHARACTERS),
        ("http://localhost/\n", CHARACTERS),
        ("http://local\thost/", CHARACTERS),
        ("http://localhost/\x00", CHARACTERS),
        ("http://localhost/\x7f", CHARACTERS),
        ("http://localhost/\u202e", CHARACTERS),
        ("http://localhost/\ud800", CHARACTERS),
        ("http://localhost\\@10.11.12.13/", CHARACTERS),
        (f"http://localhost/{'a' * 2032}", "Must have at most 2048 characters."),
        ("http://localhost/_standin", NO_CONTROL),
        ("http://localhost/_standin/", NO_CONTROL),
        ("http://localhost:8000/_standin/clock", NO_CONTROL),
        ("http://localhost/_standin/reset?x=1", NO_CONTROL),
        ("http://localhost/_STANDIN/clock", NO_CONTROL),
        ("http://localhost//_standin//clock", NO_CONTROL),
        ("http://localhost/./_standin/clock", NO_CONTROL),
        ("http://localhost/v1/../_standin/clock", NO_CONTROL),
        ("http://localhost/%5Fstandin/clock", NO_CONTROL),
        ("http://localhost/%5fstandin/clock", NO_CONTROL),
        ("http://localhost/%255fstandin/clock", NO_CONTROL),
        ("http://localhost/_standin%2Fclock", NO_CONTROL),
        ("http://localhost/_standin%5Cclock", NO_CONTROL),
        ("http://localhost/_standin;x/clock", NO_CONTROL),
        ("http://localhost/below/_standin/clock", NO_CONTROL),
        ("http://localhost/_standin/inbox", NO_CONTROL),
        ("http://localhost/_standin/inbox/", NO_CONTROL),
        ("http://localhost/_standin/inbox/..", NO_CONTROL),
        ("http://localhost/_standin/inbox/a.b", NO_CONTROL),
        ("http://localhost/_standin/inbox/../clock", NO_CONTROL),
        ("http://localhost/_standin/inbox/%2e%2e/clock", NO_CONTROL),
        ("http://localhost/_standin/inbox/a/..", NO_CONTROL),
        ("http://localhost/_standin/inbox/a%2Fb", NO_CONTROL),
        ("http://localhost/_standin/clock/_standin/inbox/a", NO_CONTROL),
    ],
)
def test_what_is_no_endpoint_is_refused_everywhere(url, said):
    assert (reason(url, LOCAL), reason(url, ANY)) == (said, said)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://localhost", Target("http", "localhost", 80, "localhost", "/")),
        ("HTTPS://Host.Example?a=b", Target("https", "host.example", 443, "host.example", "/?a=b")),
        ("http://localhost:80/a%20b?c=%26", Target("http", "localhost", 80, "localhost:80", "/a%20b?c=%26")),
        ("http://localhost:/", Target("http", "localhost", 80, "localhost", "/")),
        ("http://[0:0::1]:3000/", Target("http", "::1", 3000, "[::1]:3000", "/")),
        (
            "https://Bücher.example./é?ü",
            Target("https", "xn--bcher-kva.example.", 443, "xn--bcher-kva.example.", "/%C3%A9?%C3%BC"),
        ),
    ],
)
def test_a_url_has_its_parts_in_ascii(url, target):
    assert parse(url) == target


@given(st.text(max_size=60).map("http://localhost/".__add__) | st.text(max_size=60).map("http://".__add__))
def test_any_text_is_parsed_or_refused(url):
    try:
        target = parse(url)
    except Refused:
        return
    assert "".join(target[:2] + target[3:]).isascii()
    assert 0 < target.port < 65536


def test_a_look_up_that_is_given_up_harms_nobody():
    future = look_up("no-such-host.invalid")
    assert not future.cancel()
    assert isinstance(future.exception(30), OSError)
