"""The page at /docs, Swagger UI, in a real browser on a real service: the demo key lets a newcomer in, and is kept."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import AVA
from servers import PATIENCE_SECONDS, serving

from layers_standin.domain.keys import DEMO_KEY

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("the page is tested in Chromium, which is not here", allow_module_level=True)

playwright_api = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser, and is not here")
expect = playwright_api.expect
expect.set_options(timeout=20_000)


@pytest.fixture
def page(tmp_path) -> Iterator[Any]:
    """Return the page as it is first opened; in the end nothing may have been wrong on it."""
    wrong: list[str] = []
    with serving(tmp_path / "store", STANDIN_SYNC="never") as server, playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(base_url=server.url)
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto("/docs")
        yield page
        browser.close()
    assert wrong == []


def test_the_key_is_entered_first_with_the_demo_key_named_and_is_kept_over_a_reload(page):
    expect(page.locator(".info .description")).to_contain_text("To try it on this page, press Authorize")
    page.locator(".opblock[id$='-patchInfluencer'] .authorization__btn").click()
    expect(page.locator(".auth-container input").first).to_be_focused()
    page.get_by_role("button", name="Close").first.click()
    page.locator(".auth-wrapper .authorize").click()
    first = page.locator(".auth-container").first
    expect(first.locator("h4")).to_contain_text("ApiKey")
    expect(first.locator("code", has_text=DEMO_KEY)).to_be_in_viewport()
    expect(first.locator("input")).to_be_focused()
    page.keyboard.type(DEMO_KEY)
    first.get_by_role("button", name="Apply credentials").click()
    first.get_by_role("button", name="Close").click()

    page.reload()

    operation = page.locator(".opblock[id$='-patchInfluencer']")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response").first
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    expect(answer.locator(".response-col_description")).to_contain_text(AVA)
