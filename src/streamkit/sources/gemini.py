"""`stream_gemini`: Gemini, over its bare wire or through one of Google's packages."""

from __future__ import annotations

__all__ = ("DEFAULT_MODEL", "stream_gemini")

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from .._items.json import to_json
from .._upstream.clients import check_free, is_http_client, is_of
from .._upstream.request import Response, request
from ..models._carriers.carrier import Carrier
from ..models._carriers.event_stream import MAX_EVENT_BYTES, EventStreamCarrier
from ..models._carriers.genai import GenAICarrier
from ..models._carriers.generativeai import GenerativeModelCarrier
from ..models._keys import key_of, keys_in
from ..models._prompt import Prompt, messages_of
from ..models._source import ModelSource
from ..models._wires.gemini import GeminiWire

DEFAULT_MODEL = "gemini-3.8-flash"
"""The model when neither `model` nor `GEMINI_MODEL` names one."""

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com"


def stream_gemini(
    prompt: Prompt,
    *,
    model: str | None = None,
    client: object = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    options: Mapping[str, Any] | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    api_version: str | None = None,
    first_timeout: float | None = 60.0,
    idle_timeout: float | None = 180.0,
    retries: int = 2,
    finish_required: bool = True,
    max_event_bytes: int = MAX_EVENT_BYTES,
) -> ModelSource:
    """Ask Gemini and yield its answer as events of `streamkit.models`; `str(event)` is its text.

    - `prompt` is a text, or the messages of a conversation: `{"role", "content"}` as OpenAI has
      them, or Gemini's own `{"role", "parts"}`. `model` is `GEMINI_MODEL` of the environment
      without it, or else `DEFAULT_MODEL`. `options` are further fields of the request, such as
      `{"generationConfig": {"temperature": 0}}`.
    - `client` carries the request: a client of httpx2 or httpx, or a `google.genai.Client`, whose
      key, retries and transport stay in force. Without one it is a client of our own, with
      `GEMINI_API_KEY` and the API's version `v1beta`; `api_key=""` sends no key.
    - A `google.generativeai.GenerativeModel` is taken as well. Google has deprecated the package;
      the model has its own name, tools and options then. Over REST it reads in a thread.
    - `first_timeout` is for all until the first event, retries too. `idle_timeout` is for the
      silence after it. `retries` are for a request that has no answer yet, and for our own client
      or yours of httpx, like `max_event_bytes`: Google's packages have neither.
    - An answer that ends without a finish reason is an error `truncated`, unless `finish_required`
      is False.

    A failure before the first event raises `ModelFailed`. A later one is told by `Error` and
    `Finish("error")`, and then raised.

    Example:
        async for chunk in stream_gemini("Your prompt here"):
            print(chunk, end="", flush=True)
    """
    name = model or os.environ.get("GEMINI_MODEL") or DEFAULT_MODEL
    body = _body(prompt, {"tools": tools, **(options or {})})
    carrier: Carrier
    if is_of(client, "google.genai"):
        check_free(api_key=api_key, base_url=base_url, api_version=api_version)
        carrier = GenAICarrier(client, name, body)
    elif is_of(client, "google.generativeai"):
        check_free(model=model, tools=tools, options=options)
        check_free(api_key=api_key, base_url=base_url, api_version=api_version)
        carrier = GenerativeModelCarrier(client, body)
        name = carrier.model
    elif client is None or is_http_client(client):
        request = _Request(
            name,
            body,
            client=client,
            api_key=api_key,
            base_url=base_url,
            api_version=api_version or "v1beta",
        )
        carrier = EventStreamCarrier(
            request.begin, lambda: request.secrets, retries=retries, max_event_bytes=max_event_bytes
        )
    else:
        raise TypeError(
            "client is an AsyncClient of httpx2 or httpx, a google.genai.Client, or a "
            f"google.generativeai.GenerativeModel; not {type(client).__name__}"
        )
    return ModelSource(
        carrier,
        GeminiWire(model=name.removeprefix("models/")),
        first_timeout=first_timeout,
        idle_timeout=idle_timeout,
        finish_required=finish_required,
    )


class _Request:
    """What is asked for, over the bare wire."""

    def __init__(
        self,
        model: str,
        body: dict[str, Any],
        *,
        client: object,
        api_key: str | None,
        base_url: str | None,
        api_version: str,
    ) -> None:
        self._model, self._body, self._client = model, body, client
        self._api_key, self._base_url, self._api_version = api_key, base_url, api_version
        self.secrets: list[str] = []

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[Response, None]:
        key = key_of(self._api_key, "GEMINI_API_KEY")
        self.secrets = [key, *keys_in(self._client)]
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if key:  # not in the URL, as in Google's examples: URLs are logged
            headers["x-goog-api-key"] = key
        async with request(
            self._client, "POST", self._url(), headers=headers, content=to_json(self._body)
        ) as response:
            yield response

    def _url(self) -> str:
        base = self._base_url or os.environ.get("GOOGLE_GEMINI_BASE_URL") or DEFAULT_BASE_URL
        model = self._model if "/" in self._model else f"models/{self._model}"
        # The name may come from a request: nothing in it may lead elsewhere.
        path = "/".join(quote(part.strip("."), safe="-_.~") for part in model.split("/"))
        return f"{base.rstrip('/')}/{self._api_version}/{path}:streamGenerateContent?alt=sse"


def _body(prompt: Prompt, options: dict[str, Any]) -> dict[str, Any]:
    contents: list[Any] = []
    instructions: list[Any] = []
    for message in messages_of(prompt):
        role, parts = message.get("role", "user"), message.get("parts")
        if parts is None:
            parts = _parts(message.get("content"))
        if role in ("system", "developer"):
            instructions += parts
        else:
            contents.append({"role": "model" if role == "assistant" else role, "parts": parts})
    system = {"systemInstruction": {"parts": instructions}} if instructions else {}
    body = {"contents": contents, **system, **options}
    return {name: value for name, value in body.items() if value is not None}


def _parts(content: object) -> list[Any]:
    """Return Gemini's parts of a content as OpenAI has it: a text, or a list of parts with one."""
    if isinstance(content, str):
        return [{"text": content}]
    pieces = content if isinstance(content, list | tuple) else [content]
    texts = [piece.get("text") if isinstance(piece, Mapping) else piece for piece in pieces]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(
            "a message's content is a text, or a list of parts with a text; for others, write "
            "Gemini's own {'role': …, 'parts': […]}"
        )
    return [{"text": text} for text in texts]
