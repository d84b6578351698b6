"""Take the screenshots of the console: `python docs/take_screenshots.py http://127.0.0.1:8000`, of a new service.

It needs the test extra and a Chromium. Its changes stay: one more influencer, an archived one, a fault that has struck.
"""

import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

try:
    import httpx
    from playwright.sync_api import Page, sync_playwright
except ModuleNotFoundError as error:
    sys.exit(f"This needs {str(error.name).partition('.')[0]}: pip install -e '.[test]'")

FOLDER = Path(__file__).parent / "screenshots"
KEY = "lp_test_DEM0DEM0DEM0DEM0_local-stand-in-demo-key-not-a-secret-000000"
ORGANIZATION, PROJECT = "6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11", "proj_01HX4T9K2M7Q5R8VJ3NBCD6EFG"
AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"
PATH = f"/v1/influencers/{AVA}"
WIDE, PHONE = {"width": 1200, "height": 760}, {"width": 390, "height": 780}


class Shot(NamedTuple):
    """A screenshot: the name of its file, the path of the page, and the color scheme and size of the browser."""

    name: str
    path: str
    scheme: str = "light"
    viewport: dict[str, int] = WIDE


SHOTS = [
    Shot("influencers", f"/console?organization={ORGANIZATION}&project={PROJECT}"),
    Shot("influencer", f"/console/influencers/{ORGANIZATION}/{AVA}", "dark"),
    Shot("requests", "/console/requests"),
    Shot("controls", f"/console/controls?organization={ORGANIZATION}"),
    Shot("phone", f"/console?organization={ORGANIZATION}&project={PROJECT}", "dark", PHONE),
]


def main(url: str) -> None:
    with httpx.Client(base_url=url, headers={"X-Api-Key": KEY}) as layers:
        _make_changes(layers)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for shot in SHOTS:
            page = browser.new_page(base_url=url, color_scheme=shot.scheme, viewport=shot.viewport)  # type: ignore[arg-type]
            _take(page, shot)
            page.close()
        browser.close()


def _make_changes(layers: httpx.Client) -> None:
    """Make the calls whose effects the screenshots show."""

    def send(method: str, path: str, **body: Any) -> httpx.Response:
        return layers.request(method, path, json=body)

    pictures = ["asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9", "asset_01HXZ9M2N4P6Q8R0S2T4V6W8X0"]
    send("POST", f"{PATH}/reference-images", assetIds=pictures).raise_for_status()
    send("PATCH", PATH, vibe="precise and energetic", personality={"humor": "observational"}).raise_for_status()
    fault = {"code": "RATE_LIMITED", "retryAfter": 3}
    rule = {"match": {"operation": "patchInfluencer"}, "times": 1, "answer": fault, "organizationId": ORGANIZATION}
    send("POST", "/_standin/faults", **rule).raise_for_status()
    send("PATCH", PATH, hairStyle="short bob")
    send("PATCH", PATH, hairStyle="short bob", voiceDescription=None).raise_for_status()
    clone = send("POST", f"{PATH}/clone", name="Ava in Lisbon").raise_for_status().json()
    send("DELETE", f"/v1/influencers/{clone['influencerId']}", reason="Partner requested deletion.").raise_for_status()
    send("POST", f"/v1/projects/{PROJECT}/influencers", name="Kim Lee", hairColor="copper").raise_for_status()


def _take(page: Page, shot: Shot) -> None:
    page.goto(shot.path)
    if shot.name == "requests":
        page.locator(".log > li").nth(2).locator("summary").first.click()
    page.evaluate("Promise.all([...document.images].map(it => (it.loading = 'eager', it.decode())))")
    page.screenshot(path=FOLDER / f"{shot.name}.png", animations="disabled", full_page=shot.name == "influencer")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    main(*sys.argv[1:])
