"""The report as a browser shows it: Chromium without a window, by mouse, keyboard and phone.

Needs the extra `browser` and Chromium (`apt install chromium`); without one of them the tests
are passed over, which the summary says.
"""

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from report_testing import MANY_CLASSES, made_up_run

from cham_keras.evaluation import Results, read_results
from cham_keras.report import write_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install 'cham-keras[browser]'"
)

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("needs Chromium on the path: apt install chromium")
    # Chromium's sandbox does not work for root, in whose name containers run.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


class Watched:
    """An open page, and everything that it complained of or asked for."""

    def __init__(self, page):
        self.page = page
        self.complaints = []
        self.requests = []
        page.on("console", lambda message: self.complaints.append((message.type, message.text)))
        page.on("pageerror", lambda error: self.complaints.append(("exception", str(error))))
        page.on("requestfailed", lambda request: self.complaints.append(("failed", request.url)))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture
def opened(chromium):
    """Opens a page in a window; when the test ends, there must have been no complaint."""
    watched_pages = []
    with contextlib.ExitStack() as contexts:

        def open_page(path, viewport=DESK, **options):
            context = chromium.new_context(viewport=viewport, offline=True, **options)
            contexts.callback(context.close)
            watched_pages.append(Watched(context.new_page()))
            watched_pages[-1].page.goto(path.resolve().as_uri())
            return watched_pages[-1].page

        yield open_page
        assert watched_pages
        for watched in watched_pages:
            watched.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
            watched.page.wait_for_timeout(50)
            assert watched.complaints == []
            of_network = [url for url in watched.requests if not url.startswith(("file:", "data:"))]
            assert of_network == []


class PageOfRun(NamedTuple):
    """A page, and the results that it is about."""

    path: Path
    results: Results


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A run of 51 classes: its page and its results."""
    run = made_up_run(tmp_path_factory.mktemp("many") / "run", MANY_CLASSES, clips=600, skill=3.0)
    return PageOfRun(write_report(run, latency=False).path, read_results(run.folder))


@pytest.fixture
def pages(hostile, tiny_run, tiny_report, many):
    """Pages by name."""
    return {
        "hostile": PageOfRun(hostile.folder / "report.html", read_results(hostile.folder)),
        "tiny": PageOfRun(tiny_report.path, read_results(tiny_run.run.folder)),
        "many": many,
    }


def wrong_cell(results):
    """Row and column of the cell with the most wrong clips, and the ids of its clips."""
    wrong = results.confusion.copy()
    wrong[range(len(wrong)), range(len(wrong))] = 0
    row, column = divmod(int(wrong.argmax()), len(wrong))
    clips = (results.labels == row) & (results.predicted == column)
    return row, column, {results.clip_ids[clip] for clip in clips.nonzero()[0]}


def cell(page, row, column):
    return page.locator(".matrix tbody tr").nth(row).locator("button").nth(column)


def assert_listed(page, results, row, column, clips):
    listed = page.locator("#cell-clips tr td:first-child").all_inner_texts()
    assert set(listed) == clips
    assert len(listed) == len(clips)
    title = page.locator("#cell-title").inner_text()
    assert title.startswith(f"{results.classes[row]}, taken for {results.classes[column]}: ")
    assert f": {len(clips)} clip" in title
    assert page.locator("[aria-live]").inner_text().startswith(title)


@pytest.mark.parametrize("names", ["many", "hostile"])
def test_a_click_on_a_cell_lists_its_clips(opened, pages, names):
    path, results = pages[names]
    page = opened(path)
    assert not page.locator("#cell").is_visible()
    row, column, clips = wrong_cell(results)
    cell(page, row, column).click()
    assert_listed(page, results, row, column, clips)
    shares = page.locator("#cell-clips tr td:nth-child(2)").first.inner_text()
    assert shares.startswith(results.classes[column])
    assert cell(page, row, column).get_attribute("aria-pressed") == "true"
    assert page.locator("[aria-pressed=true]").count() == 1


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_alone_lists_a_cell_s_clips(opened, pages, key):
    path, results = pages["many"]
    page = opened(path)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    in_matrix = "document.activeElement.closest('.matrix') !== null"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(in_matrix):
            break
    row, column, clips = wrong_cell(results)
    assert row > 0
    assert column > 0
    for name, number in (("ArrowDown", row), ("ArrowRight", column)):
        for _ in range(number):
            page.keyboard.press(name)
    page.keyboard.press(key)
    assert_listed(page, results, row, column, clips)
    # One stop of the tabulator for the whole matrix: the next one is behind it.
    page.keyboard.press("Tab")
    assert not page.evaluate(in_matrix)
    page.keyboard.press("Shift+Tab")
    assert cell(page, row, column).evaluate("button => button === document.activeElement")
    page.keyboard.press("Shift+Tab")
    assert not page.evaluate(in_matrix)


def test_keys_stay_inside_the_matrix_and_reach_its_ends(opened, pages):
    path, results = pages["hostile"]
    page = opened(path)
    last = len(results.classes) - 1
    cell(page, 0, 0).focus()
    for keys, row, column in (
        (["ArrowUp", "ArrowLeft"], 0, 0),
        (["Control+End", "ArrowDown", "ArrowRight"], last, last),
        (["Home"], last, 0),
        (["Control+Home", "End"], 0, last),
    ):
        for key in keys:
            page.keyboard.press(key)
        assert cell(page, row, column).evaluate("button => button === document.activeElement")
        assert page.locator(".matrix .here").count() == 2


def test_a_cell_without_clips_says_so(opened, many):
    path, results = many
    page = opened(path)
    row, column = next(zip(*(results.confusion == 0).nonzero(), strict=True))
    cell(page, row, column).click()
    assert ": 0 clips" in page.locator("#cell-title").inner_text()
    assert page.locator("#cell-clips tr").count() == 0


@pytest.mark.parametrize("names", ["many", "hostile", "tiny"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_makes_the_page_scroll_sideways(opened, pages, names, viewport):
    page = opened(pages[names].path, viewport)
    page.locator(".matrix td:not(.s0) button").first.click()
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")
    widths = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] <= widths[1] == viewport["width"]


def test_a_focused_cell_is_not_hidden_behind_the_heads(opened, many):
    page = opened(many.path, PHONE)
    cell(page, 50, 50).focus()
    for key, times in (("ArrowLeft", 12), ("ArrowUp", 40), ("Control+Home", 1)):
        for _ in range(times):
            page.keyboard.press(key)
            assert page.evaluate(
                """() => {
                const {x, y, width, height} = document.activeElement.getBoundingClientRect();
                const found = document.elementFromPoint(x + width / 2, y + height / 2);
                return found === document.activeElement;
                }"""
            ), key


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_and_pictures_are_as_light_as_the_reader_likes(opened, tiny_report, scheme):
    page = opened(tiny_report.path, color_scheme=scheme)
    brightness = page.evaluate(
        """Array.from(document.querySelectorAll('body, section'), element =>
        getComputedStyle(element).backgroundColor.match(/\\d+/g).map(Number)
            .reduce((sum, value) => sum + value) / 3)"""
    )
    assert all(value > 200 if scheme == "light" else value < 60 for value in brightness)
    shown = page.evaluate(
        """Array.from(document.querySelectorAll('picture'), picture => [
        picture.querySelector('img').currentSrc === picture.querySelector('source').srcset,
        picture.querySelector('img').naturalWidth])"""
    )
    assert len(shown) == 5
    for is_dark, width in shown:
        assert is_dark == (scheme == "dark")
        assert width > 300


def wait_until(page, condition, seconds=10):
    """Waits for a condition; Playwright's own way is what the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


PLAYING = "Array.from(document.querySelectorAll('video'), film => !film.paused)"


def test_a_dark_page_is_printed_dark_on_white(opened, tiny_report):
    page = opened(tiny_report.path, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    for place, wanted in (("body", "rgb(255, 255, 255)"), ("section", "rgb(255, 255, 255)")):
        style = f"getComputedStyle(document.querySelector('{place}'))"
        assert page.evaluate(f"{style}.backgroundColor") == wanted
        assert page.evaluate(f"{style}.color") == "rgb(26, 37, 48)"
    shown = page.evaluate("document.querySelector('#training img').currentSrc")
    assert shown == page.evaluate("document.querySelector('#training img').src")  # the light one


def test_films_play_while_they_are_in_sight(opened, tiny_report):
    page = opened(tiny_report.path)
    assert not any(page.evaluate(PLAYING))
    film = page.locator("video").first
    film.scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('video').currentTime > 0")
    wait_until(page, "document.querySelector('.now').getAttribute('x1') > 0")
    page.evaluate("window.scrollTo(0, 0)")
    wait_until(page, "document.querySelector('video').paused")
    film.scroll_into_view_if_needed()
    wait_until(page, "!document.querySelector('video').paused")
    # Whoever stops a film finds it stopped.
    film.evaluate("film => film.pause()")
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(200)
    film.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert film.evaluate("film => film.paused")


def test_films_rest_where_the_reader_wants_no_motion(opened, tiny_report):
    page = opened(tiny_report.path, reduced_motion="reduce")
    page.locator("video").first.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    assert not any(page.evaluate(PLAYING))
    assert page.locator("video").first.evaluate("film => film.controls && film.readyState > 0")


def test_classes_sort_by_what_their_column_holds(opened, many):
    path, results = many
    page = opened(path)
    names = page.locator(".sortable tbody th")
    expected = {name: row["average_precision"] for name, row in results.per_class.items()}
    button = page.get_by_role("button", name="average precision")
    for direction, is_reversed in (("ascending", False), ("descending", True)):
        button.focus()
        page.keyboard.press("Enter")
        values = [expected[name] for name in names.all_inner_texts()]
        assert values == sorted(values, reverse=is_reversed)
        assert page.locator(f".sortable th[aria-sort={direction}]").count() == 1
    page.get_by_role("button", name="class", exact=True).click()
    assert names.all_inner_texts() == sorted(results.classes)
    assert page.locator(".sortable th[aria-sort=none]").count() == 3


def test_page_has_one_heading_landmarks_and_a_way_past_the_links(opened, pages):
    page = opened(pages["hostile"].path)
    assert page.locator("html").get_attribute("lang") == "en"
    for selector in ("h1", "main", "header", "nav", "footer"):
        assert page.locator(selector).count() == 1
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
