"""The console's forms: what they send, what is said at their fields, and who may use them."""

import subprocess
from io import BytesIO
from urllib.parse import urljoin

import pytest
from api_helpers import SPRING, new_organization, unchanged
from conftest import AVA, AVA_PATH
from content_helpers import GIF
from PIL import Image
from test_console import OWN, TOKEN, Elements, console_of, shown, signed_in

from layers_standin.console.actions import ACTIONS, body_of, change_of, placed_errors, shown_values
from layers_standin.operations.content_schemas import ContentGenerate
from schemas import InfluencerPatch

HOSTILE = "</textarea><script>alert(1)</script>{{ 7 * 7 }}\u0000"


@pytest.fixture
def path_of(organization):
    """Return a function of an action that returns the path of its form, for Ava or for her project."""
    return lambda name: (
        f"/console/actions/{name}/{organization}/{AVA if ACTIONS[name].subject != 'projects' else SPRING}"
    )


@pytest.fixture
def act(demo, path_of):
    """Return a function that sends a form as a browser does, and returns the reply."""
    del demo.environ_base["HTTP_X_API_KEY"]  # a browser has none
    return lambda name, /, **form: demo.post(path_of(name), data=form, headers=OWN)


def led_to(response):
    """Return the path that a reply leads to, as the browser sees it."""
    assert (response.status_code, response.text) == (303, response.text)
    return urljoin(response.request.path, response.location)


def ava(store, organization):
    return store.for_organization(organization).any_influencer(AVA)


def test_every_form_is_there_with_its_command(client, path_of):
    for name, action in ACTIONS.items():
        page = Elements(shown(client, path_of(name)))
        assert action.hint in page.text
        assert f"curl -X {action.method} " in page.text
        assert "$LAYERS_API_KEY" in page.text


def test_an_influencer_is_created_as_by_a_client(act, client, store, organization):
    response = act("create", **{"name": "Kim", "gender": "female", "personality.traits": "calm\r\nquick\r\n\r\n"})
    place = led_to(response)
    kim = store.for_organization(organization).any_influencer(place.rpartition("/")[2])
    assert (kim["name"], kim["gender"], kim["vibe"]) == ("Kim", "female", None)
    assert kim["personality"] == {"traits": ["calm", "quick"]}
    assert (kim["status"], kim["projectId"]) == ("pending", SPRING)
    assert "Created" in shown(client, place)


def test_what_the_api_says_stands_at_the_fields_and_what_was_typed_stays(act, on_disk):
    is_same = unchanged(on_disk)
    response = act("create", **{"ageRange": "a" * 17, "influencerId": "kim", "vibe": "calm <b>"})
    assert (response.status_code, response.mimetype) == (422, "text/html")
    page = Elements(response.text)
    told = {attributes["name"]: attributes.get("aria-describedby") for tag, attributes in page.found if tag == "input"}
    assert told["name"] == "error-name"
    assert told["ageRange"] == "error-ageRange"
    for text in ("Invalid body.", "Required", "String must contain at most 16 character(s)", "calm <b>"):
        assert text in page.text
    assert ("input", "a" * 17) in [(tag, attributes.get("value")) for tag, attributes in page.found]
    assert is_same()


def test_an_edit_sends_only_what_was_changed(act, client, store, organization, path_of):
    before = ava(store, organization)
    form = shown_values(InfluencerPatch(), before)
    response = act("edit", **form | {"vibe": "", "personality.tone": "dry"})
    assert led_to(response) == f"/console/influencers/{organization}/{AVA}"
    after = ava(store, organization)
    assert after == before | {
        "vibe": None,
        "personality": before["personality"] | {"tone": "dry"},
        "updatedAt": after["updatedAt"],
        "revision": 1,
    }
    changed = next(iter(store.for_organization(organization).history.of(after)))
    assert changed["operation"] == "patchInfluencer"


def test_an_edit_undoes_nothing_that_another_client_has_changed_meanwhile(
    act, client, demo, store, organization, path_of
):
    page = Elements(shown(client, path_of("edit")))
    was = next(each["value"] for tag, each in page.found if tag == "input" and each.get("name") == "was")
    form = shown_values(InfluencerPatch(), ava(store, organization))
    store.for_organization(organization).patch_influencer(AVA, {"vibe": "changed by another"})
    assert act("edit", **form | {"was": was, "style": "plain"}).status_code == 303
    assert (ava(store, organization)["vibe"], ava(store, organization)["style"]) == ("changed by another", "plain")


def test_an_edit_without_a_change_is_told_what_the_api_says(act, store, organization):
    response = act("edit", **shown_values(InfluencerPatch(), ava(store, organization)))
    assert response.status_code == 422
    assert "At least one field is required" in response.text


def test_a_clone_and_a_deletion_do_as_the_api(act, store, organization, demo):
    clone = led_to(act("clone", **{"name": "Ava too", "overrides.hairColor": "red"})).rpartition("/")[2]
    document = store.for_organization(organization).any_influencer(clone)
    assert (document["name"], document["hairColor"], document["style"]) == (
        "Ava too", "red", ava(store, organization)["style"],
    )  # fmt: skip

    assert led_to(act("delete", reason="Enough.")) == f"/console/influencers/{organization}/{AVA}"
    assert ava(store, organization)["attributes"]["deletion"]["reason"] == "Enough."
    assert act("delete", reason="Again.").status_code == 404
    assert act("edit", vibe="late").status_code == 404


def test_content_is_generated_with_an_influencer_and_leads_to_it(act, store, organization):
    form = {"format": "slideshow_remix", "variantCount": "2", "brief.topic": "tea", "brief.influencerId": AVA}
    assert led_to(act("generate", **form)) == f"/console/influencers/{organization}/{AVA}"
    made = store.for_organization(organization).containers.with_influencer(AVA, 10)
    assert [each["format"] for each in made] == ["slideshow_remix", "slideshow_remix"]

    wrong = act("generate", **form | {"variantCount": "many", "brief.targetPlatforms": "tiktok\nmyspace"})
    assert wrong.status_code == 422
    assert "Expected number, received string" in wrong.text
    assert "Invalid enum value" in wrong.text
    assert led_to(act("generate")).startswith("/console?organization=")


def noise(side):
    picture = BytesIO()
    Image.effect_noise((side, side), 90).save(picture, "PNG")
    return picture.getvalue()


def test_pictures_are_uploaded_small_and_large_and_attached(act, client, store, organization, path_of):
    small, large = GIF, noise(640)
    assert len(large) > 262_144
    files = [(BytesIO(small), "small.gif", "image/gif"), (BytesIO(large), "large.png", "image/png")]
    response = client.post(path_of("pictures"), data={"files": files, "assetIds": ""}, headers=OWN)
    assert led_to(response) == f"/console/influencers/{organization}/{AVA}"
    attached = [each["assetId"] for each in ava(store, organization)["referenceImages"]]
    assets = [store.for_organization(organization).assets.get(each) for each in attached]
    assert [(each["filename"], each["sizeBytes"]) for each in assets] == [
        ("small.gif", len(small)), ("large.png", len(large)),
    ]  # fmt: skip


def test_a_file_that_is_no_picture_is_refused_in_the_words_of_the_api(act, client, store, organization, path_of):
    wrong = client.post(path_of("pictures"), data={"files": (BytesIO(b"text"), "a.png", "image/png")}, headers=OWN)
    assert wrong.status_code == 422
    assert "mimeType" in wrong.text
    none = act("pictures")
    assert (none.status_code, "Required" in none.text) == (422, True)
    assert ava(store, organization)["referenceImages"] == []


def test_files_that_are_too_large_are_refused_in_a_sentence(rooms, path_of):
    client = console_of(rooms, max_upload_bytes=1000)
    how = {"data": bytes(1_100_000), "content_type": "multipart/form-data; boundary=x"}
    response = client.post(path_of("pictures"), headers=OWN, **how)
    assert (response.status_code, "STANDIN_MAX_UPLOAD_BYTES" in response.text) == (413, True)


def test_the_command_is_shown_without_being_done_and_does_the_same(act, on_disk):
    is_same = unchanged(on_disk)
    response = act("edit", vibe="it's\nquick", show="curl", was='{"vibe": "calm"}')
    assert response.status_code == 200
    page = Elements(response.text).text
    command = page[page.index("curl -X PATCH") : page.index("Copy the command")].strip()
    words = subprocess.run(
        ["/bin/sh", "-c", command.replace("curl", "printf '%s\\n'", 1)],
        env={"LAYERS_API_KEY": "the-key"}, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert words == [
        "-X", "PATCH", f"http://localhost{AVA_PATH}", "-H", "X-Api-Key: the-key",
        "-H", "Content-Type: application/json", "--data-raw", '{"vibe":"it\'s\\nquick"}',
    ]  # fmt: skip
    assert is_same()


def test_a_call_is_logged_and_struck_by_faults_like_any_other(act, control, organization):
    which = {"match": {"operation": "deleteInfluencer"}, "times": 1, "organizationId": organization}
    control.post("/faults", **which, answer={"code": "RATE_LIMITED"})
    response = act("delete", reason="Enough.")
    assert response.status_code == 429
    assert "RATE_LIMITED" in response.text
    control.post("/faults", **which, answer={"dropConnection": True})
    broken = act("delete", reason="Enough.")
    assert (broken.status_code, "The connection broke" in broken.text) == (502, True)
    assert act("delete", reason="Enough.").status_code == 303


def test_without_a_key_the_form_says_what_is_missing(client, store):
    organization = new_organization(store)
    own = store.for_organization(organization)
    project = own.projects.create({"name": "Bare", "timezone": "UTC"})["id"]
    path = f"/console/actions/create/{organization}/{project}"
    own.keys.kill(own.keys.get(_id_of(own, own.keys.create(["*"], "Killed")))["apiKeyId"])
    own.keys.create(["projects:read"], "A reader")
    assert "influencers:write" in Elements(shown(client, path)).text
    response = client.post(path, data={"name": "Kim"}, headers=OWN)
    assert (response.status_code, "influencers:write" in response.text) == (409, True)


def _id_of(own, key):
    return own.keys.find(key.split("_")[2])["apiKeyId"]


def test_nothing_of_a_form_becomes_markup_and_no_secret_is_shown(act, client, store, organization, path_of):
    store.for_organization(organization).patch_influencer(AVA, {"name": HOSTILE[:128], "vibe": HOSTILE})
    for html in (shown(client, path_of("edit")), act("edit", name="", style=HOSTILE).text):
        page = Elements(html)
        assert {tag for tag, attributes in page.found if tag == "script" and "src" not in attributes} == set()
        assert "49" not in page.text
    assert "secretHash" not in html
    assert "lp_test_" not in html


# Who may


def test_no_page_of_another_origin_and_no_client_without_a_browser_acts(client, path_of, on_disk):
    is_same = unchanged(on_disk)
    for headers in ({}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(path_of("delete"), data={}, headers=headers).status_code == 403
    assert is_same()


def test_a_public_demo_shows_no_form_and_takes_none(rooms, path_of, organization, on_disk):
    client = console_of(rooms, control=TOKEN, console="read-only")
    is_same = unchanged(on_disk)
    for name in ACTIONS:
        assert client.get(path_of(name)).status_code == 401
        assert client.post(path_of(name), data={"name": "Kim"}, headers=OWN).status_code == 401
    for path in ("/console", f"/console/influencers/{organization}/{AVA}"):
        assert "/console/actions/" not in shown(client, path)
    assert is_same()
    assert signed_in(rooms, console="read-only").get(path_of("edit")).status_code == 200


@pytest.mark.parametrize("off", [{"console": "off"}, {"control": "off"}], ids=str)
def test_without_a_console_there_are_no_forms(rooms, off, path_of):
    client = console_of(rooms, **off)
    assert client.get(path_of("edit")).status_code == 404
    assert client.post(path_of("delete"), data={}, headers=OWN).status_code == 404


@pytest.mark.parametrize("path", ["nothing/{0}/{1}", "edit/{0}/nobody", "edit/nowhere/{1}", "create/{0}/nowhere"])
def test_what_is_not_there_has_no_form(client, organization, path):
    page = f"/console/actions/{path.format(organization, AVA)}"
    shown(client, page, 404)
    assert client.post(page, data={}, headers=OWN).status_code == 404


# Bodies and errors


def test_empty_fields_are_left_out_and_numbers_are_numbers():
    assert body_of(ContentGenerate(), {"variantCount": "3", "brief.topic": "", "format": ""}) == {"variantCount": 3}
    assert body_of(ContentGenerate(), {"variantCount": "x"}) == {"variantCount": "x"}


def test_emptied_fields_are_cleared_and_a_name_is_not():
    was = {"name": "Kim", "vibe": "calm", "personality.traits": "a\nb"}
    assert change_of(InfluencerPatch(), {"name": "", "vibe": "", "personality.traits": ""}, was) == {
        "name": "", "vibe": None, "personality": {"traits": None},
    }  # fmt: skip


def test_errors_are_said_at_the_innermost_field():
    error = {"details": {"fieldErrors": {"brief": ["targetPlatforms.1: Invalid enum value"], "odd": ["Unknown"]}}}
    assert placed_errors(ContentGenerate(), error) == (
        {"brief.targetPlatforms": ["Invalid enum value"]},
        ["odd: Unknown"],
    )
