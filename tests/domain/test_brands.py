"""A brand made from the words of an address, and its first person: the same each time, and good for a create body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers_standin.domain.brands import brand_of_repository, brand_of_url, spokesperson
from schemas import InfluencerCreate

FIELDS = [
    "appName", "appDescription", "tagline", "audience", "icp", "brandVoice", "keywords", "primaryLanguage", "logoUrl",
]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "name", "keywords"),
    [
        (
            "https://www.trail-notes.app/pricing/Teams?token=secret#top",
            "Trail Notes",
            ["trail", "notes", "pricing", "teams"],
        ),
        ("https://shop.acme.co.uk", "Acme", ["acme", "shop"]),
        ("http://acme.com:8080/", "Acme", ["acme"]),
        ("http://localhost:3000/", "Localhost", ["localhost"]),
        ("https://app.example", "Example", ["example"]),
        ("https://xn--bcher-kva.example/%C3%9Cber%20uns", "Bücher", ["bücher", "über", "uns"]),
        ("http://127.0.0.1/", "App", ["app"]),
        ("http://[::1]/garden", "Garden", ["garden"]),
        ("https://xn--a.example", "Xn A", ["xn", "a"]),
    ],
)
def test_a_brand_is_named_by_its_host(url, name, keywords):
    brand = brand_of_url(url, "fr")

    assert list(brand) == FIELDS
    assert (brand["appName"], brand["keywords"], brand["primaryLanguage"], brand["logoUrl"]) == (
        name, keywords, "fr", None,
    )  # fmt: skip
    assert brand == brand_of_url(url, "fr")


@pytest.mark.parametrize(
    ("repository", "name"),
    [("northwind/trail-notes", "Trail Notes"), ("northwind/trailNotes", "Trail Notes"), ("northwind/v2", "V2"),
     ("northwind/123", "Northwind"), ("1/.", "App")],
)  # fmt: skip
def test_a_brand_is_named_by_its_repository(repository, name):
    assert brand_of_repository(repository, "en")["appName"] == name


def test_a_name_and_a_keyword_are_no_longer_than_a_line():
    brand = brand_of_url(f"https://example.com/{'x' * 1500}", "en")

    assert max(map(len, brand["keywords"])) == 32
    assert len(brand_of_repository("a/" + "-".join("abcdefghij"), "en")["appName"]) == len("A B C D")


def test_brands_differ():
    brands = [brand_of_repository(f"northwind/{name}", "en") for name in ("trail", "garden", "kitchen", "moon", "tide")]

    assert len({brand["brandVoice"] for brand in brands}) > 1
    assert len({spokesperson(brand)["name"] for brand in brands}) > 1


def test_the_first_person_speaks_as_the_brand_does():
    brand = brand_of_url("https://trail-notes.app", "en")

    personality = spokesperson(brand)["personality"]

    assert personality["tone"] == brand["brandVoice"]
    assert personality["interests"] == brand["keywords"]
    assert personality["catchphrases"] == [brand["tagline"]]
    assert all(personality[field] for field in ("traits", "values", "humor", "speakingStyle"))


@given(st.text(), st.text())
def test_any_words_make_a_valid_create_body(host, path):
    for brand in (brand_of_repository(f"{host}/{path}", "en"), brand_of_url(f"https://example.com/{path}", "en")):
        assert InfluencerCreate().load(spokesperson(brand)) == spokesperson(brand)
        assert brand["appName"]
        assert brand["keywords"]
