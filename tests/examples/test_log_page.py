"""The page for the log of a run, in a browser: lose the connection, load it again, come back."""

from __future__ import annotations

__all__ = ()

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from examples.demo.jobs import LAST_LINE
from examples.demo.probe import Running

from ._plug import Plug

TIMEOUT = 20.0
LINES = "#logs > [data-timestamp]"

pytestmark = pytest.mark.slow  # a browser, a server, and runs that take seconds on purpose


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=TIMEOUT * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    # A run takes about five seconds: longer than it takes to load a page, also on a busy machine.
    with Running("fastapi", STREAMKIT_DEMO_PAUSE="0.3") as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(scope="module")
def upload_of_ended_run(server: Running) -> str:
    upload = uuid4().hex
    run = f"{server.url}/runs/{upload}/api"
    urlopen(Request(f"{run}/generate", method="POST"), timeout=TIMEOUT).close()
    with urlopen(f"{run}/logs", timeout=TIMEOUT) as events:
        events.read()
    return upload


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    errors: list[object] = []
    context = browser.new_context()
    context.set_default_timeout(TIMEOUT * 1000)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - it looks inside
    yield page
    context.close()
    assert not errors


def enter(page: Page, url: str, upload: str, service: str = "api") -> None:
    page.goto(f"{url}/runs")
    expect(page).to_have_title("Live Log Viewer")
    page.get_by_label("Upload ID").fill(upload)
    page.get_by_label("Service").fill(service)


def generate(page: Page, url: str, upload: str, service: str = "api") -> None:
    """Start a run in the page, and wait until its log begins to come."""
    enter(page, url, upload, service)
    page.get_by_role("button", name="Generate").click()
    page.locator(LINES).nth(2).wait_for()


def ended(page: Page, words: str = "This run has ended:") -> str:
    """Wait for the end, and return what the page then shows."""
    expect(page.get_by_role("status")).to_contain_text(words)
    return page.get_by_role("log").text_content() or ""


def final_log(server: Running, upload: str, service: str = "api") -> str:
    """Return the rows of the table as the page should show them."""
    path = f"/runs/{quote(upload, safe='')}/{service}/logs/final"
    with urlopen(server.url + path, timeout=TIMEOUT) as answer:
        rows = json.load(answer)["logs"]
    assert rows
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
    assert rows[-1]["message"] == LAST_LINE
    return "".join(
        f"[{row['timestamp']}] {row['log_level'].upper()}: {row['message']}\n" for row in rows
    )


def test_a_page_that_is_loaded_again_mid_stream_goes_on_and_shows_each_line_once(
    page: Page, server: Running
) -> None:
    upload = uuid4().hex
    generate(page, server.url, upload)
    with page.expect_request(lambda request: request.url.endswith("/logs")):  # so it was active
        page.reload()
    assert ended(page) == final_log(server, upload)
    expect(page.get_by_label("Upload ID")).to_have_value(upload)


def test_a_lost_connection_is_resumed_without_a_gap_and_without_a_line_twice(
    page: Page, server: Running
) -> None:
    upload = uuid4().hex
    with Plug(port_of(server)) as plug:
        generate(page, plug.url, upload)
        plug.pull()
        expect(page.get_by_role("status")).to_contain_text("The connection is lost.")
        assert ended(page) == final_log(server, upload)
        assert b"last-event-id: " in b"".join(plug.requests).lower()


def test_a_second_click_follows_the_run_that_is_active(page: Page, server: Running) -> None:
    upload = uuid4().hex
    generate(page, server.url, upload)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("status")).to_contain_text("It was already running.")
    assert ended(page) == final_log(server, upload)


def test_the_log_of_a_run_that_has_ended_comes_from_the_table(
    page: Page, server: Running, upload_of_ended_run: str
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    enter(page, server.url, upload_of_ended_run)
    page.get_by_role("button", name="Start").click()
    assert ended(page) == final_log(server, upload_of_ended_run)
    assert asked[-2:] == ["status", "final"]


def test_a_log_that_can_no_longer_be_followed_is_shown_when_it_is_final(
    page: Page, server: Running
) -> None:
    upload = uuid4().hex
    page.route("**/logs", lambda route: route.fulfill(status=410))
    enter(page, server.url, upload)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("status")).to_contain_text("can no longer be followed")
    assert ended(page) == final_log(server, upload)


def test_a_run_that_fails_says_so_after_its_last_line(page: Page, server: Running) -> None:
    upload = uuid4().hex
    generate(page, server.url, upload, "broken")
    shown = ended(page, "This run failed.")
    assert shown == final_log(server, upload, "broken")
    assert "ERROR: storage.py does not compile" in shown


def test_a_log_that_nobody_knows_is_said_to_be_none(page: Page, server: Running) -> None:
    enter(page, server.url, uuid4().hex)
    page.get_by_role("button", name="Start").click()
    assert ended(page, "There is no log of this name.") == ""


@pytest.mark.parametrize(
    "markup",
    ["<img src=x onerror=\"document.title='hurt'\">", "<b>&amp;", "a\u2028b", "${1}"],
)
def test_what_a_log_says_is_shown_as_text(page: Page, server: Running, markup: str) -> None:
    upload = f"{uuid4().hex} {markup}"
    generate(page, server.url, upload)
    expect(page.get_by_role("log")).to_contain_text(f"Parsing the metadata of {upload}")
    assert page.locator("#logs > span > *").count() == 0
    assert page.title() == "Live Log Viewer"


def test_a_log_can_be_narrowed_timed_and_saved(
    page: Page, server: Running, upload_of_ended_run: str, tmp_path: Path
) -> None:
    names = {"upload": upload_of_ended_run, "service": "api"}
    page.goto(f"{server.url}/runs?{urlencode(names)}")
    whole = ended(page)
    assert whole == final_log(server, upload_of_ended_run)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save to file").click()
    download.value.save_as(tmp_path / "saved.log")
    assert (tmp_path / "saved.log").read_text() == whole
    page.get_by_label("Show").select_option("errors")
    (shown,) = page.get_by_role("log").inner_text().splitlines()
    assert "] ERROR: " in shown
    page.get_by_label("Show").select_option("all levels")
    page.get_by_label("Relative time").check()
    assert page.get_by_role("log").inner_text().startswith("[+0.0 s] INFO: Parsing")
    page.get_by_label("Relative time").uncheck()
    assert page.get_by_role("log").text_content() == whole


def test_a_run_whose_server_was_killed_is_given_up_and_nothing_of_its_log_is_lost(
    page: Page, tmp_path: Path
) -> None:
    upload, database = uuid4().hex, str(tmp_path / "demo.db")
    slow = {"STREAMKIT_DEMO_DB": database, "STREAMKIT_DEMO_PAUSE": "0.5"}
    with Running("fastapi", **slow) as server:
        server.wait_until_ready()
        with Plug(port_of(server)) as plug:
            generate(page, plug.url, upload)
            server.kill()
            with Running("fastapi", **slow) as other:
                other.wait_until_ready()
                plug.port = port_of(other)
                shown = ended(page, "This run was given up, its process is gone:")
                lines = shown.splitlines()
                assert len(lines) == len(set(lines)) >= 3
                page.reload()
                assert ended(page) == shown


def port_of(server: Running) -> int:
    return int(server.url.rpartition(":")[2])
