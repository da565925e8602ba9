"""Takes the README's pictures of the running demo in a real browser.

Run `make screenshots` while `make ui` runs. It needs Chromium (`--chromium PATH`). Here: which
pages, how large, where they go. Nothing is drawn or edited.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

OUTPUT: Final = Path(__file__).parent / "images"
SETTLE_MS: Final = 6_000
"""The lineage is laid out by a worker after the data arrive; the page does not say when."""

FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def main() -> None:
    """Writes docs/images/*.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    OUTPUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, args=list(FLAGS), headless=True
        )
        page = browser.new_page()
        _lineage(page, arguments.url)
        _ready(page, arguments.url)
        browser.close()


def _lineage(page: Page, url: str) -> None:
    # Of one report only: the whole graph has 50 assets, too many to read in a picture.
    page.set_viewport_size({"width": 1700, "height": 1280})
    page.goto(
        f"{url}/assets/gold/rpt_daily_revenue?view=lineage&lineageScope=upstream&lineageDepth=6",
        wait_until="domcontentloaded",
    )
    page.wait_for_selector("text=rpt_daily_revenue", timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=OUTPUT / "lineage.png")


def _ready(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 1700, "height": 900})
    page.goto(f"{url}/assets/ready?view=overview", wait_until="domcontentloaded")
    page.wait_for_selector("text=Freshness policy", timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=OUTPUT / "ready.png")


if __name__ == "__main__":
    main()
