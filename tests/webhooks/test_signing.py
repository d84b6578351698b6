"""The signature of a delivery, against values that OpenSSL made, and as a receiver judges it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers_standin.webhooks.signing import signature, verify

BODY = '{"id":"evt_1","data":{"name":"Zoë"}}'.encode()
NEW, OLD = "whsec_bmV3-_", "whsec_b2xk"
AT = 1_750_000_000
# printf '%s' '1750000000.{"id":"evt_1","data":{"name":"Zoë"}}' | openssl dgst -sha256 -hmac 'whsec_bmV3-_'
BY_NEW = "759ae50b37523a8ebaa08e771c495a09c9e756c40a5a0ebcec3fa4ccb63a25cd"
BY_OLD = "6ad1320da33c28b3f3c5b6cca88744496516689434e34d1ba3ef894b7dc46df1"
FORM = "X-Layers-Signature is not of the form t=<unix seconds>,v1=<hex>."
ANOTHER = "The signature is not one of this body by this secret."


def test_the_whole_secret_signs_the_moment_and_the_raw_body():
    assert signature([NEW], BODY, AT) == f"t=1750000000,v1={BY_NEW}"


def test_two_secrets_make_two_signatures_in_their_order():
    assert signature([NEW, OLD], BODY, AT) == f"t=1750000000,v1={BY_NEW},v1={BY_OLD}"


@pytest.mark.parametrize("signing", [[NEW], [OLD, NEW], [NEW, OLD]])
@pytest.mark.parametrize("held", [[NEW], [OLD, NEW], [NEW, "whsec_x"]])
def test_one_secret_in_common_is_enough(signing, held):
    assert verify(signature(signing, BODY, AT), BODY, held, AT) is None


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "There is no X-Layers-Signature."),
        ("", "There is no X-Layers-Signature."),
        ("nonsense", FORM),
        (f"v1={BY_NEW}", FORM),
        ("t=1750000000", FORM),
        (f"t=,v1={BY_NEW}", FORM),
        (f"t=-1,v1={BY_NEW}", FORM),
        (f"t=1_750_000_000,v1={BY_NEW}", FORM),
        (f"t=\u0661750000000,v1={BY_NEW}", FORM),
        (f"t=1750000000,t=1750000000,v1={BY_NEW}", FORM),
        (f"T=1750000000,V1={BY_NEW}", FORM),
        (f"t=1750000000,v0={BY_NEW}", FORM),
        ("t=1750000000,v1=", ANOTHER),
        ("t=1750000000,v1=é", ANOTHER),
        ("t=1750000000,v1=\udcff", ANOTHER),
        (f"t=1750000000,v1={BY_OLD}", ANOTHER),
        (f"t=1750000000,v1={BY_NEW[:-1]}", ANOTHER),
        (f"t=1750000000,v1={BY_NEW.upper()}", ANOTHER),
        (f"t=1750000001,v1={BY_NEW}", ANOTHER),
        (f"t=01750000000,v1={BY_NEW}", ANOTHER),
        (f"t=1750000000,v1={BY_NEW}", None),
        (f"t=1750000000, v1={BY_NEW}", None),
        (f"v0=x,v1={BY_OLD},v1={BY_NEW},t=1750000000", None),
    ],
)
def test_a_header_is_judged(header, reason):
    assert verify(header, BODY, [NEW], AT) == reason


@pytest.mark.parametrize("body", [b"", BODY + b" ", BODY.replace(b"evt_1", b"evt_2")])
def test_another_body_is_not_proven(body):
    assert verify(signature([NEW], BODY, AT), body, [NEW], AT) == ANOTHER


def test_nothing_is_proven_without_a_secret():
    assert verify(signature([NEW], BODY, AT), BODY, [], AT) == ANOTHER


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (AT + 300, None),
        (AT - 300, None),
        (AT + 301, "The signature is 301 s old; 300 s are allowed."),
        (AT - 301, "The signature is 301 s ahead; 300 s are allowed."),
    ],
)
def test_a_signature_holds_for_five_minutes(now, reason):
    assert verify(signature([NEW], BODY, AT), BODY, [NEW], now) == reason


def test_another_tolerance_may_be_given():
    assert verify(signature([NEW], BODY, AT), BODY, [NEW], AT + 2, tolerance=1) is not None


@given(header=st.text(), body=st.binary())
def test_any_header_gets_a_reason(header, body):
    assert verify(header, body, [NEW], AT) is not None
