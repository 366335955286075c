"""`stream_model`: the model of a provider that is chosen by its name, at run time."""

from __future__ import annotations

__all__ = ("PROVIDERS", "stream_llm", "stream_model")

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from importlib import import_module
from typing import Any, cast

from .._feeding.step import step
from ..models._errors import UnknownProvider
from ..models._events import Finish, ModelEvent, PartEnd, Start, Text
from ..models._prompt import Prompt, messages_of


def stream_model(
    provider: str, prompt: Prompt, *, model: str | None = None, client: object = None
) -> AsyncIterator[ModelEvent]:
    """Ask the model of a provider: "openai", "gemini", or "echo", which says what it was asked.

    Keys and models come from the environment as with `stream_gpt` and `stream_gemini`; use those
    for all that they can be told. "echo" needs neither a key nor a network. Another provider
    raises `UnknownProvider`, which lists these.

    Example:
        async for chunk in stream_model("echo", "Hello!"):
            print(chunk, end="", flush=True)
    """
    make = PROVIDERS.get(provider)
    if make is None:
        raise UnknownProvider(PROVIDERS)
    return make(prompt, model, client)


stream_llm = stream_model
"""The same, by the name that many look for."""


def _gpt(prompt: Prompt, model: str | None, client: object) -> AsyncIterator[ModelEvent]:
    stream_gpt = _named("openai", "stream_gpt")
    return cast("AsyncIterator[ModelEvent]", stream_gpt(prompt, model=model, client=client))


def _gemini(prompt: Prompt, model: str | None, client: object) -> AsyncIterator[ModelEvent]:
    stream_gemini = _named("gemini", "stream_gemini")
    return cast("AsyncIterator[ModelEvent]", stream_gemini(prompt, model=model, client=client))


def _echo(prompt: Prompt, model: str | None, client: object) -> AsyncIterator[ModelEvent]:
    if client is not None:
        raise TypeError("the echo has no client")
    messages = messages_of(prompt)
    return _echoed(_text_of(messages[-1]) if messages else "", model or "echo")


@step
async def _echoed(text: str, model: str) -> AsyncGenerator[ModelEvent, None]:
    yield Start(model=model, provider="echo")
    async for word in _named("echo", "stream_echo")(text):
        yield Text(word)
    yield PartEnd("0")
    yield Finish("stop")


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or message.get("parts") or ""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content)


def _named(source: str, name: str) -> Callable[..., Any]:
    # By name, when it is asked for: no source loads another one, nor what that needs.
    return cast("Callable[..., Any]", getattr(import_module(f"streamkit.sources.{source}"), name))


PROVIDERS: dict[str, Callable[[Prompt, str | None, object], AsyncIterator[ModelEvent]]] = {
    "openai": _gpt,
    "gemini": _gemini,
    "echo": _echo,
}
"""The providers by their names."""
