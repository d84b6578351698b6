"""The console's forms and lists in a real browser: by hand, by keyboard, without a script, on a phone, in the dark."""

from pathlib import Path

import pytest
from PIL import Image
from test_console_browser import PHONE, WIDE, _barriers, browser, expect, open_page, own_server, server, shop

__all__ = ["browser", "open_page", "own_server", "server", "shop"]  # the fixtures
pytestmark = pytest.mark.slow


@pytest.fixture
def kim(shop):
    """Return the id of an influencer, and the path of its page."""
    influencer_id = shop.create(name="Kim Lee", vibe="calm")
    return influencer_id, f"/console/influencers/{shop.organization}/{influencer_id}"


def record_of(shop, influencer_id):
    return shop.api.get(f"/v1/influencers/{influencer_id}").raise_for_status().json()


def test_an_influencer_is_created_by_hand_after_the_api_has_said_what_is_missing(open_page, shop):
    page = open_page(shop.overview, forgive="422")
    page.get_by_role("link", name="New influencer").click()
    page.get_by_label("Vibe").first.fill("quick")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert").filter(has_text="Invalid body.")).to_be_visible()
    name = page.get_by_role("textbox", name="Name")
    expect(name).to_have_accessible_description("Required")
    expect(page.get_by_label("Vibe").first).to_have_value("quick")

    name.fill("Kim Lee")
    page.get_by_label("Gender").select_option("female")
    page.get_by_label("Traits, one on each line").fill("calm\nfast")
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Kim Lee")
    made = record_of(shop, page.url.rpartition("/")[2])
    assert (made["vibe"], made["gender"], made["personality"]) == ("quick", "female", {"traits": ["calm", "fast"]})


def test_an_influencer_is_edited_and_the_command_is_shown(open_page, shop, kim):
    page = open_page(kim[1])
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Vibe").fill("quick")
    page.get_by_role("button", name="Show the command").click()
    expect(page.locator("#curl")).to_contain_text("""--data-raw '{"vibe":"quick"}'""")
    assert record_of(shop, kim[0])["vibe"] == "calm"
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".timeline > li").first.get_by_role("heading")).to_have_text("Edited")
    assert record_of(shop, kim[0])["vibe"] == "quick"


def test_an_influencer_is_cloned_and_deleted(open_page, shop, kim):
    page = open_page(kim[1])
    page.get_by_role("link", name="Clone").click()
    expect(page.get_by_label("Name")).to_have_value("Kim Lee (copy)")
    page.get_by_role("button", name="Clone").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Kim Lee (copy)")
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Reason").fill("It was a try.")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("[data-key=deletion]")).to_contain_text("It was a try.")
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)
    assert record_of(shop, kim[0])["name"] == "Kim Lee"


def test_pictures_are_uploaded_and_attached(open_page, shop, kim, tmp_path: Path):
    paths = [tmp_path / "small.png", tmp_path / "large.png"]
    Image.new("RGB", (64, 64), "teal").save(paths[0])
    Image.effect_noise((640, 640), 90).save(paths[1])
    page = open_page(kim[1])
    page.get_by_role("link", name="Add pictures").click()
    page.get_by_label("Files").set_input_files(paths)
    page.get_by_role("button", name="Attach").click()
    expect(page.locator(".gallery img")).to_have_count(2)
    for picture in page.locator(".gallery img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).not_to_have_js_property("naturalWidth", 0)


def test_content_is_generated(open_page, shop, kim):
    page = open_page(kim[1])
    page.get_by_role("link", name="Generate content").click()
    expect(page.get_by_label("Influencer id")).to_have_value(kim[0])
    page.get_by_label("Format").select_option("slideshow_remix")
    page.get_by_label("Topic").fill("night runs")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("region", name="Content")).to_contain_text("slideshow remix")


def test_forms_work_without_a_script(open_page, shop, kim):
    page = open_page(kim[1], java_script_enabled=False)
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Vibe").fill("quick")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Kim Lee")
    assert record_of(shop, kim[0])["vibe"] == "quick"


def test_the_keyboard_is_enough_for_a_form(open_page, shop, kim):
    page = open_page(f"/console/actions/delete/{shop.organization}/{kim[0]}")
    page.get_by_label("Reason").focus()
    page.keyboard.type("Enough.")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Delete")
    page.keyboard.press("Enter")
    expect(page.locator("[data-key=deletion]")).to_contain_text("Enough.")


def test_what_is_typed_stays_while_the_stand_in_changes(open_page, shop, kim):
    page = open_page(f"/console/actions/edit/{shop.organization}/{kim[0]}")
    page.get_by_label("Vibe").fill("typed")
    shop.api.patch(f"/v1/influencers/{kim[0]}", json={"style": "plain"}).raise_for_status()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".timeline > li")).to_have_count(3)
    changed = record_of(shop, kim[0])
    assert (changed["vibe"], changed["style"]) == ("typed", "plain")


def test_lists_lead_to_each_other(open_page, shop, kim):
    page = open_page(shop.overview)
    page.get_by_role("link", name="Projects", exact=True).click()
    page.get_by_role("row", name="The shelf").get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    page.get_by_role("link", name="Influencer", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Kim Lee")


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_form_and_no_list_keeps_anybody_out(open_page, shop, kim, scheme, viewport):
    shop.generate(format="slideshow_remix")
    of = f"{shop.organization}/{shop.project}"
    forms = [
        f"/console/actions/{name}/{shop.organization}/{kim[0]}" for name in ("edit", "clone", "pictures", "delete")
    ]
    forms += [f"/console/actions/{name}/{of}" for name in ("create", "generate")]
    lists = [
        f"/console/lists/{kind}?organization={shop.organization}" for kind in ("projects", "keys", "jobs", "assets")
    ]
    page = open_page("/console", color_scheme=scheme, viewport=viewport, forgive="422")
    for path in forms + lists + [kim[1], shop.overview]:
        page.goto(path)
        assert (path, _barriers(page)) == (path, [])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.goto(forms[4])
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert").filter(has_text="Invalid body.")).to_be_visible()
    assert _barriers(page) == []
