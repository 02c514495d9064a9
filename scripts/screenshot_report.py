"""Pictures of a report as Chromium shows it: on a desk, in the dark, on a phone.

    cham report demo/runs/cham
    python scripts/screenshot_report.py demo/runs/cham/report.html docs/results/report

Needs the extra `browser` and Chromium (`apt install chromium`). Each picture is a part of
the page, named after it; colours are reduced to 256, which keeps a picture small.
"""

import argparse
import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

#: Name -> width and height of the window, dark or light, and the section that is shown.
PICTURES = {
    "desk": ((1280, 900), "light", "run"),
    "desk-training": ((1280, 560), "light", "training"),
    "desk-confusion": ((1280, 760), "light", "confusion"),
    "desk-classes": ((1280, 900), "light", "classes"),
    "desk-errors": ((1280, 760), "light", "errors"),
    "desk-attention": ((1280, 900), "light", "attention"),
    "dark-seen": ((1280, 760), "dark", "seen"),
    "phone": ((390, 844), "light", "run"),
    "phone-confusion": ((390, 844), "light", "confusion"),
    "phone-errors": ((390, 844), "dark", "errors"),
}


def main() -> None:
    """Reads the command line and writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, help="the page that `cham report` has written")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--only", nargs="*", default=list(PICTURES), choices=list(PICTURES))
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("There is no chromium on the path. `apt install chromium` puts it there.")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=root)
        for name in arguments.only:
            (width, height), scheme, section = PICTURES[name]
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(arguments.report.resolve().as_uri())
            show(page, section)
            picture = Image.open(io.BytesIO(page.screenshot()))
            path = arguments.out / f"{name}.png"
            picture.convert("RGB").quantize(256).save(path, optimize=True)
            print(path)
            page.close()
        browser.close()


def show(page: Page, section: str) -> None:
    """Brings a section into sight, as whoever reads it would use it."""
    if section != "run":
        page.evaluate("name => document.getElementById(name).scrollIntoView()", section)
    if section == "confusion":
        wrong = page.locator(".matrix td.wrong:not(.s0) button")
        if wrong.count():
            wrong.first.click()
        page.evaluate("document.getElementById('confusion').scrollIntoView()")
    page.wait_for_timeout(2500 if section == "errors" else 300)


if __name__ == "__main__":
    main()
