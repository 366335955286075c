"""What is asked of a model, and its answers: each of them a source like any other.

Nothing here knows a web framework: in each of them, a route is one line.
"""

from __future__ import annotations

__all__ = (
    "MAX_QUESTION",
    "MODELS_PAGE",
    "Question",
    "answer",
    "ask",
    "form_field",
    "greeting",
    "parse_question",
    "upstream_answer",
)

import json
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from urllib.parse import parse_qs

from anyio import sleep

from streamkit import open_source
from streamkit.models import Citation, ModelEvent, Sources, Text
from streamkit.sources.any_model import stream_model
from streamkit.sources.echo import stream_echo

MODELS_PAGE = Path(__file__).with_name("models.html")

WORD_PAUSE = 0.05
MAX_QUESTION = 20_000  # characters

POLICY = Citation("doc-123", "HR Policy", content="Employee handbook section 4: days of leave")


@dataclass(frozen=True)
class Question:
    """The body of a question. Without a provider it is the echo, which needs no key."""

    user_input: str
    provider: str = "echo"

    def __post_init__(self) -> None:
        if not 0 < len(self.user_input) <= MAX_QUESTION:
            raise ValueError(f"user_input: 1 to {MAX_QUESTION} characters")


def parse_question(body: bytes) -> Question:
    """Read the body, for the frameworks that do not; a ValueError says what is wrong with it."""
    match json.loads(body):
        case {"user_input": str(text), "provider": str(provider)}:
            return Question(text, provider)
        case {"user_input": str(text)}:
            return Question(text)
    raise ValueError('expected {"user_input": "Hello!", "provider": "echo"}')


def answer(question: Question) -> AsyncIterable[ModelEvent]:
    """A source of what a model says. Closing it ends the request to the model, and its bill."""
    return stream_model(question.provider, question.user_input)


async def ask(question: Question) -> dict[str, str]:
    """The same without streaming. A source that is opened here is closed here."""
    async with open_source(answer(question)) as events:
        return {"response": "".join([str(event) async for event in events])}


def greeting() -> AsyncIterable[str]:
    """A source of words that asks no model: to see an event stream arrive."""
    return stream_echo("Each of these words is an event of its own.", pause=WORD_PAUSE)


async def upstream_answer(question: str) -> AsyncGenerator[ModelEvent, None]:
    """Stand in for somebody else's service, which has read a handbook. "broken" fails."""
    words = f'Based on your company\'s HR policy, the answer to "{question}" is: ask a person.'
    async with open_source(stream_echo(words, pause=WORD_PAUSE)) as said:
        async for word in said:
            yield Text(word)
            if question == "broken" and word.startswith("policy"):
                raise RuntimeError("the handbook is lost")
    await sleep(WORD_PAUSE)
    yield Sources((POLICY,))


def form_field(body: bytes, content_type: str, name: str) -> str:
    """Return a field of a form, as a page or curl sends it; "" when it is not there."""
    if content_type.lower().startswith("multipart/form-data"):
        head = f"Content-Type: {content_type}\r\n\r\n".encode(errors="replace")
        for part in message_from_bytes(head + body).walk():
            value = part.get_payload(decode=True)
            if part.get_param("name", header="content-disposition") == name:
                return value.decode(errors="replace") if isinstance(value, bytes) else ""
        return ""
    return parse_qs(body.decode(errors="replace")).get(name, [""])[0]
