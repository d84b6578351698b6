"""The rules as pure functions, and the Store that applies them."""

import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import pytest
from api_helpers import SPRING, living, new_organization, picture, unchanged
from conftest import AVA
from hypothesis import example, given
from hypothesis import strategies as st

from layers_standin.domain.assets import media_paths
from layers_standin.domain.errors import NotFound
from layers_standin.domain.idempotency import IdempotencyKey
from layers_standin.domain.ids import canonical
from layers_standin.domain.keys import hash_secret, mint_key, opens
from layers_standin.domain.times import milliseconds, seconds
from store import archive_influencer, attach_references, dedupe_references, merge_influencer, merge_personality

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 4, 18, 9, 18, 44, 120_999, tzinfo=UTC)

texts = st.text(max_size=5)
keys = st.sampled_from(["traits", "values", "tone", "humor"])
personalities = st.dictionaries(keys, st.lists(texts, max_size=3) | texts)
personality_patches = st.dictionaries(keys, st.none() | st.lists(texts, max_size=3) | texts)
fields = st.sampled_from(["name", "gender", "vibe", "style"])
patches = st.builds(
    lambda flat, personality: flat | ({} if personality is None else {"personality": personality}),
    st.dictionaries(fields, st.none() | texts),
    st.none() | personality_patches,
)
influencers = st.builds(
    lambda known, personality: living("org", AVA, **known) | {"personality": personality},
    st.dictionaries(fields, texts),
    personalities,
)
ids = st.sampled_from(
    ["asset_a", "asset_b", "ASSET_A", str(UUID(int=10)), str(UUID(int=10)).upper(), str(UUID(int=11))]
)


@st.composite
def references(draw):
    """Draw a list of entries, each asset at most once."""
    found = draw(st.lists(ids, unique_by=canonical))
    return [{"assetId": asset_id, "addedAt": draw(st.integers(0, 99))} for asset_id in found]


# Merging


@given(personalities, personality_patches)
def test_a_merged_personality_has_what_the_patch_gives_and_keeps_the_rest(current, patch):
    before = deepcopy((current, patch))

    merged = merge_personality(current, patch)

    assert {key: merged.get(key) for key in patch} == patch
    assert {key: value for key, value in merged.items() if key not in patch} == {
        key: value for key, value in current.items() if key not in patch
    }
    assert None not in merged.values()
    assert (current, patch) == before


@given(personalities, personality_patches)
def test_merging_a_personality_twice_changes_nothing_more(current, patch):
    once = merge_personality(current, patch)

    assert merge_personality(once, patch) == once


@given(influencers, patches)
def test_a_patch_touches_what_it_gives_and_the_time_and_nothing_else(current, patch):
    before = deepcopy((current, patch))

    merged = merge_influencer(current, patch, NOW)

    untouched = set(current) - set(patch) - {"updatedAt"}
    assert {field: merged[field] for field in untouched} == {field: current[field] for field in untouched}
    given_flat = {field: value for field, value in patch.items() if field != "personality"}
    assert {field: merged[field] for field in given_flat} == given_flat
    assert merged["personality"] == merge_personality(current["personality"], patch.get("personality", {}))
    assert merged["updatedAt"] == "2026-04-18T09:18:44Z"
    assert list(merged) == list(current)
    assert (current, patch) == before


@given(influencers, patches)
def test_a_patch_twice_changes_nothing_more(current, patch):
    once = merge_influencer(current, patch, NOW)

    assert merge_influencer(once, patch, NOW) == once


@given(influencers, st.none() | texts, texts)
def test_archiving_keeps_everything_and_adds_who_when_and_why(current, reason, key_id):
    current["attributes"] = {"other": 1}
    before = deepcopy(current)

    archived = archive_influencer(current, reason, key_id, NOW)

    deletion = {"reason": reason, "apiKeyId": key_id, "deletedAt": "2026-04-18T09:18:44Z"}
    assert archived == before | {
        "is_archived": True,
        "attributes": {"other": 1, "deletion": deletion},
        "updatedAt": archived["updatedAt"],
    }
    assert current == before


# Reference images


@given(references(), references() | references().map(lambda entries: entries + entries[::-1]))
def test_each_reference_is_there_once_in_the_order_it_first_came(current, attached):
    before = deepcopy((current, attached))

    merged = dedupe_references(current, attached)

    came = list(dict.fromkeys(canonical(entry["assetId"]) for entry in current + attached))
    assert [canonical(entry["assetId"]) for entry in merged] == came
    newest = {canonical(entry["assetId"]): entry for entry in current + attached}
    assert merged == [newest[asset_id] for asset_id in came]
    assert (current, attached) == before


@given(references(), references())
def test_attaching_again_changes_nothing_more(current, attached):
    once = dedupe_references(current, attached)

    assert dedupe_references(once, attached) == once


@given(st.lists(ids, unique_by=canonical), st.lists(ids))
def test_attaching_moves_the_time_only_when_there_is_something_to_attach(present, attached):
    current = living("org", AVA)
    current = attach_references(current, [picture("org", asset_id) for asset_id in present], NOW)
    before = deepcopy(current)

    after = attach_references(current, [picture("org", asset_id) for asset_id in attached], NOW + timedelta(seconds=1))

    assert current == before
    if not attached:
        assert after == before
    else:
        assert after["updatedAt"] == "2026-04-18T09:18:45Z"
    assert {field: after[field] for field in set(after) - {"referenceImages", "updatedAt"}} == {
        field: before[field] for field in set(before) - {"referenceImages", "updatedAt"}
    }


# Ids, times, secrets, paths


@given(st.uuids(), st.randoms())
def test_a_uuid_is_compared_without_regard_to_case(uuid, random):
    spelled = "".join(random.choice([letter.lower(), letter.upper()]) for letter in str(uuid))

    assert canonical(spelled) == str(uuid)


@given(st.text() | st.sampled_from(["inf_ABC", "asset_x", "", f"{{{UUID(int=10)}}}".upper(), UUID(int=10).hex.upper()]))
def test_any_other_id_is_compared_as_it_is(identifier):
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", identifier):
        assert canonical(identifier) == identifier
    assert canonical(canonical(identifier)) == canonical(identifier)


@given(st.none() | st.text() | st.text("./\\-_a é%?#\0"))
@example("..")
@example(".")
@example("...")
@example("../..")
@example("a.")
@example(".jpg")
@example("")
def test_a_picture_of_any_name_has_paths_that_stay_as_they_are_in_a_url(filename):
    asset = picture("org", "asset_x", token="tok-en_", filename=filename)

    paths = media_paths(asset)

    for variant, path in (("original", paths["path"]), ("thumbnail", paths["thumbnailPath"])):
        assert re.fullmatch(rf"/media/org/asset_x/tok-en_/{variant}/[0-9A-Za-z._-]+", path)
        assert urljoin("http://host", path) == f"http://host{path}"  # no dot segment a client would take out
        assert urlsplit(f"http://host{path}").path == path


@pytest.mark.parametrize(
    ("filename", "name", "thumbnail"),
    [
        ("ava-01.jpg", "ava-01.jpg", "ava-01-thumb.webp"),
        ("my photo (1).tar.gz", "my-photo-1-.tar.gz", "my-photo-1-.tar-thumb.webp"),
        ("noending", "noending", "noending-thumb.webp"),
        ("", "file.png", "file-thumb.webp"),
        ("..", "file.png", "file-thumb.webp"),
        (None, "file.png", "file-thumb.webp"),
    ],
)
def test_the_name_of_a_picture_is_at_the_end_of_its_url(filename, name, thumbnail):
    asset = picture("org", "asset_x", token="t", filename=filename)

    assert media_paths(asset) == {
        "path": f"/media/org/asset_x/t/original/{name}",
        "thumbnailPath": f"/media/org/asset_x/t/thumbnail/{thumbnail}",
    }


def test_times_are_cut_to_seconds_or_milliseconds_in_utc():
    assert seconds(NOW) == "2026-04-18T09:18:44Z"
    assert milliseconds(NOW) == "2026-04-18T09:18:44.120Z"
    assert seconds(NOW.replace(microsecond=0)) == "2026-04-18T09:18:44Z"
    assert milliseconds(NOW.replace(microsecond=0)) == "2026-04-18T09:18:44.000Z"


@given(st.text(), st.text())
def test_a_secret_opens_its_own_key_only(secret, other):
    key = {"secretHash": hash_secret(secret)}

    assert opens(key, secret)
    assert opens(key, other) == (secret == other)
    assert re.fullmatch("[0-9a-f]{64}", key["secretHash"])


def test_minted_keys_differ_and_have_the_format_of_the_contract():
    minted = [mint_key("live") for _ in range(100)]

    assert len(set(minted)) == 100
    assert all(re.fullmatch(r"lp_live_[0-9A-Z]{16}_[0-9A-Za-z_-]{43}", key) for key in minted)


json_bodies = st.recursive(
    st.none() | st.booleans() | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner)
)


@pytest.mark.slow
@given(json_bodies, json_bodies)
def test_claims_agree_exactly_when_their_bodies_are_equal(body, other):
    claim, second = (IdempotencyKey.of("key", "PATCH", "/x", "once", value) for value in (body, other))

    assert claim.record_id == second.record_id
    assert (claim.fingerprint == second.fingerprint) == (body == other)


@given(st.lists(st.tuples(texts, texts, texts, texts).map(lambda parts: tuple(p.replace("\0", "") for p in parts))))
def test_claims_of_different_scopes_have_different_records(scopes):
    assert len({IdempotencyKey.of(*scope, None).record_id for scope in scopes}) == len(set(scopes))


# The Store


def test_a_put_document_is_exactly_what_is_found(store):
    store.tables.put("influencers", living("org", "inf_x", extra=1))
    store.tables.put("influencers", living("org", "inf_x", name="New"))

    assert store.for_organization("org").influencer("inf_x") == living("org", "inf_x", name="New")


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (
            lambda store, organization: store.for_organization(organization).influencer("inf_nobody"),
            "Influencer not found.",
        ),
        (lambda store, organization: store.for_organization("nowhere").influencer(AVA), "Influencer not found."),
        (
            lambda store, organization: store.for_organization(organization).patch_influencer("x", {}),
            "Influencer not found.",
        ),
        (
            lambda store, organization: store.for_organization(organization).delete_influencer("x", None, "k"),
            "Influencer not found.",
        ),
        (
            lambda store, organization: store.for_organization(organization).attach_reference_images("x", []),
            "Influencer not found.",
        ),
        (lambda store, organization: store.for_organization(organization).assets.get(AVA), "Not found."),
        (lambda store, organization: store.organizations.get("nowhere"), "Organization not found."),
        (
            lambda store, organization: store.for_organization("nowhere").keys.create([], "A key"),
            "Organization not found.",
        ),
        (lambda store, organization: store.keys.delete_public("NOBODYSKEY000000"), "There is no key NOBODYSKEY000000."),
    ],
)
def test_what_is_not_there_is_not_found_and_nothing_is_written(store, organization, on_disk, find, message):
    is_unchanged = unchanged(on_disk)

    with pytest.raises(NotFound, match=re.escape(message)):
        find(store, organization)
    assert is_unchanged()


def test_a_new_key_has_the_organization_scopes_and_name_it_was_given(store, clock):
    organization = new_organization(store)

    key = store.for_organization(organization).keys.create(["a", "b"], "Mine")

    document = store.keys.find(key.split("_")[2])
    assert document == {
        "apiKeyId": str(UUID(document["apiKeyId"])),
        "publicId": key.split("_")[2],
        "organizationId": organization,
        "name": "Mine",
        "environment": "test",
        "secretHash": hash_secret(key.split("_", 3)[3]),
        "scopes": ["a", "b"],
        "rateLimitTier": "standard",
        "killSwitch": False,
        "createdAt": "2026-04-18T09:18:44.120Z",
        "revokedAt": None,
        "rotatedAt": None,
    }


def test_a_deleted_key_stays_and_is_killed(store, organization):
    key = store.for_organization(organization).keys.create(["*"], "Mine")
    before = store.keys.find(key.split("_")[2])

    store.keys.delete_public(key.split("_")[2])

    assert store.keys.find(key.split("_")[2]) == before | {
        "killSwitch": True,
        "revokedAt": "2026-04-18T09:18:44.120Z",
        "deleted": True,
    }


def test_pictures_of_another_project_are_not_attached(store, organization):
    store.tables.put("assets", picture(organization, "asset_here", SPRING))
    store.tables.put("assets", picture(organization, "asset_there", "proj_other"))

    document = store.for_organization(organization).attach_reference_images(AVA, ["asset_there", "asset_here"])

    assert [entry["assetId"] for entry in document["referenceImages"]] == ["asset_here"]
