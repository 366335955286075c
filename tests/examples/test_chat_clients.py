"""The clients that ask a model, as their user runs them, against the demo on each framework."""

from __future__ import annotations

__all__ = ()

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from examples.demo.asking import POLICY
from examples.demo.content import FRAMEWORKS
from examples.demo.probe import Running

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
TIMEOUT = 20.0

QUESTION = "Xin chào, bạn có khỏe không?"
DONE = QUESTION + "\n✅ Done!\n"
NEEDS_CURL, NEEDS_NODE = pytest.mark.needs("curl"), pytest.mark.needs("node")
COMMANDS = [
    pytest.param((sys.executable, CLIENTS / "chat_requests.py"), DONE, id="requests"),
    pytest.param(("node", CLIENTS / "chat_fetch.mjs"), DONE, id="fetch", marks=NEEDS_NODE),
]

pytestmark = pytest.mark.slow  # servers, clients and a browser in processes of their own


@pytest.fixture(scope="module", params=FRAMEWORKS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "STREAMKIT_DEMO_UPSTREAM"):
            environment.setenv(name, "")  # not deleted: a file .env may have them
        with Running(request.param) as server:
            server.wait_until_ready()
            yield server.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=TIMEOUT * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        browser.close()


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


def run(command: Sequence[str | Path], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [*command, *arguments],
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )


@pytest.mark.parametrize(("command", "output"), COMMANDS)
def test_a_client_prints_the_answer(command: Sequence[str | Path], output: str, url: str) -> None:
    ran = run(command, url)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, output, "")


@NEEDS_CURL
def test_curl_prints_the_events_as_they_are(url: str) -> None:
    ran = run(("sh", CLIENTS / "chat_curl.sh"), url)
    assert (ran.returncode, ran.stderr) == (0, "")
    *chunks, done = (line for line in ran.stdout.splitlines() if line.startswith("data: "))
    assert done == 'data: {"chunk": "", "done": true}'
    said = [json.loads(chunk.removeprefix("data: "))["chunk"] for chunk in chunks]
    assert "".join(said) == QUESTION
    assert chunks[0] == 'data: {"chunk": "Xin ", "done": false}'


CURL = pytest.param(("sh", CLIENTS / "chat_curl.sh"), "", id="curl", marks=NEEDS_CURL)


@pytest.mark.parametrize(("command", "_"), [CURL, *COMMANDS])
def test_a_client_that_names_nobody_is_told_who_there_is(
    command: Sequence[str | Path], _: str, url: str
) -> None:
    ran = run(command, url, "nobody")
    assert ran.returncode != 0
    assert "echo" in ran.stdout + ran.stderr
    assert "gemini" in ran.stdout + ran.stderr


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_a_provider_without_a_key_is_refused_with_a_sentence(provider: str, url: str) -> None:
    ran = run((sys.executable, CLIENTS / "chat_requests.py"), url, provider)
    assert ran.returncode != 0
    assert "_API_KEY" in ran.stderr


def opened(page: Page, name: str, **query: str) -> None:
    page.goto(f"file://{CLIENTS / name}?{urlencode(query)}")


def test_a_page_from_elsewhere_reads_an_answer(page: Page, url: str) -> None:
    opened(page, "chat_eventsource.html", url=url)
    expect(page.locator("#state")).to_have_text("Stream completed!")
    expect(page.locator("#answer")).to_have_text("Hello")


def test_a_page_from_elsewhere_reads_a_chat_and_its_sources(page: Page, url: str) -> None:
    opened(page, "relay_eventsource.html", url=url, message="Why?")
    expect(page.locator("#state")).to_have_text("Complete")
    expect(page.locator("#answer")).to_contain_text('"Why?" is: ask a person.')
    expect(page.locator("#known")).to_have_text(POLICY.title)
    expect(page.locator("#send")).to_be_enabled()


def test_a_page_is_told_that_a_chat_failed(page: Page, url: str) -> None:
    opened(page, "relay_eventsource.html", url=url, message="broken")
    expect(page.locator("#state")).to_have_text("Failed to process message")
    expect(page.locator("#send")).to_be_disabled()


def test_the_page_of_the_demo_asks_a_model_and_another_service(page: Page, url: str) -> None:
    page.goto(f"{url}/models")
    page.get_by_label("Question").fill('What is "ü"?')
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#model-status")).to_contain_text("Complete")
    expect(page.locator("#model-answer")).to_have_text('What is "ü"?')
    page.get_by_label("Message").fill("Grüße?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#chat-status")).to_have_text("Complete, and kept.")
    expect(page.locator("#chat-answer")).to_contain_text('"Grüße?" is: ask a person.')
    expect(page.locator("#chat-sources")).to_contain_text(POLICY.title)


def test_the_page_of_the_demo_says_what_went_wrong(page: Page, url: str) -> None:
    page.goto(f"{url}/models")
    page.get_by_label("Provider").select_option("gemini")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#model-status")).to_contain_text("Is there a key")
    for message, words in (("", "Message is required"), ("broken", "Failed to process message")):
        page.get_by_label("Message").fill(message)
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#chat-status")).to_have_text(words)


def test_who_leaves_an_answer_can_ask_again(page: Page, url: str) -> None:
    page.goto(f"{url}/models")
    page.get_by_label("Question").fill("a long question " * 100)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#model-status")).to_contain_text("chunks …")
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#model-status")).to_have_text("Left.")
    page.get_by_label("Question").fill("Hello")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#model-answer")).to_have_text("Hello")
