"""`stream_gpt`: GPT, and every server that speaks OpenAI's chat completions or Responses."""

from __future__ import annotations

__all__ = ("DEFAULT_MODEL", "stream_gpt")

import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import Any, Literal

from anyio import to_thread

from .._items.json import to_json
from .._upstream.clients import check_free, is_http_client, is_of
from .._upstream.request import MAX_BODY, Response, import_first, request, tls
from ..errors import UpstreamStatus, UpstreamUnreachable
from ..models._carriers.event_stream import MAX_EVENT_BYTES, EventStreamCarrier
from ..models._keys import key_of, keys_in
from ..models._prompt import Prompt, messages_of
from ..models._source import ModelSource
from ..models._wires.chat import ChatWire
from ..models._wires.responses import ResponsesWire

DEFAULT_MODEL = "gpt-5.4-mini"
"""The model when neither `model` nor `OPENAI_MODEL` names one."""

DEFAULT_BASE_URL = "https://api.openai.com/v1"
CONNECT_TIMEOUT = 10.0


def stream_gpt(
    prompt: Prompt,
    *,
    model: str | None = None,
    client: object = None,
    api: Literal["chat", "responses"] = "chat",
    tools: Sequence[Mapping[str, Any]] | None = None,
    options: Mapping[str, Any] | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    first_timeout: float | None = 60.0,
    idle_timeout: float | None = 180.0,
    retries: int = 2,
    finish_required: bool = True,
    max_event_bytes: int = MAX_EVENT_BYTES,
) -> ModelSource:
    """Ask GPT and yield its answer as events of `streamkit.models`; `str(event)` is its text.

    - `prompt` is a text, or the messages of a conversation. `model` is `OPENAI_MODEL` of the
      environment without it, or else `DEFAULT_MODEL`. `options` are further fields of the request,
      such as `{"temperature": 0}`; a field that is None is left out.
    - `client` carries the request: an `openai.AsyncOpenAI` (or `AsyncAzureOpenAI`), whose key,
      retries and proxies stay in force; or a client of httpx2 or httpx. Without one it is the
      SDK's, if it is installed, with `OPENAI_API_KEY`; `api_key=""` sends none.
    - `first_timeout` is for all until the first event, retries too. `idle_timeout` is for the
      silence after it. `retries` are for a request that has no answer yet.
    - An answer that ends without the provider's word that it is complete is an error `truncated`;
      `finish_required=False` is for servers that never say it.

    A failure before the first event raises `ModelFailed`. A later one is told by `Error` and
    `Finish("error")`, and then raised.

    Example:
        async for chunk in stream_gpt("Your prompt here"):
            print(chunk, end="", flush=True)
    """
    name = model or os.environ.get("OPENAI_MODEL") or DEFAULT_MODEL
    by_sdk = is_of(client, "openai") or (client is None and _is_installed())
    request = _Request(
        api,
        _body(api, name, prompt, {"tools": tools, **(options or {})}),
        client=_checked(client, api_key, base_url),
        api_key=api_key,
        base_url=base_url,
        retries=retries,
    )
    carrier = EventStreamCarrier(
        request.by_sdk if by_sdk else request.by_wire,
        lambda: request.secrets,
        retries=0 if by_sdk else retries,  # the SDK has its own
        max_event_bytes=max_event_bytes,
    )
    return ModelSource(
        carrier,
        ResponsesWire(model=name) if api == "responses" else ChatWire(model=name),
        first_timeout=first_timeout,
        idle_timeout=idle_timeout,
        finish_required=finish_required,
    )


class _Request:
    """What is asked for, and of whom."""

    def __init__(
        self,
        api: str,
        body: dict[str, Any],
        *,
        client: Any,
        api_key: str | None,
        base_url: str | None,
        retries: int,
    ) -> None:
        self._api, self._body, self._client = api, body, client
        self._api_key, self._base_url, self._retries = api_key, base_url, retries
        self._key = ""
        self._sdk: Any = None

    @property
    def secrets(self) -> list[str]:
        """Return the keys it is sent with; an SDK may learn its own only while it sends."""
        of_sdk = [str(getattr(self._sdk, name, None) or "") for name in _KEYS]
        return [self._key, *of_sdk, *keys_in(self._client)]

    @asynccontextmanager
    async def by_wire(self) -> AsyncGenerator[Response, None]:
        self._key = key = key_of(self._api_key, "OPENAI_API_KEY")
        base = self._base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        path = "/responses" if self._api == "responses" else "/chat/completions"
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        async with request(
            self._client,
            "POST",
            base.rstrip("/") + path,
            headers=headers,
            content=to_json(self._body),
        ) as response:
            yield response

    @asynccontextmanager
    async def by_sdk(self) -> AsyncGenerator[Response, None]:
        async with AsyncExitStack() as stack:
            client = self._client
            if client is None:
                client = await self._own_client()
                stack.push_async_callback(client.close)
            self._sdk = client
            resource = client.responses if self._api == "responses" else client.chat.completions
            first = {name: self._body[name] for name in _REQUIRED if name in self._body}
            rest = {name: self._body[name] for name in self._body if name not in first}
            asked = resource.with_streaming_response.create(**first, stream=True, extra_body=rest)
            raw = await _entered(asked)
            answer = Response(raw.status_code, raw.headers, raw.http_response)
            stack.push_async_callback(answer.finish)
            stack.push_async_exit(asked)
            yield answer

    async def _own_client(self) -> Any:
        """Make a client of the SDK, in a thread: the first one takes most of a second."""
        key = key_of(self._api_key, "OPENAI_API_KEY")
        openai, httpx = await import_first("openai"), await import_first("httpx2", "httpx")

        def make() -> Any:
            client = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=self._base_url,
                max_retries=self._retries,
                timeout=openai.Timeout(None, connect=CONNECT_TIMEOUT),
                http_client=openai.DefaultAsyncHttpxClient(verify=tls(httpx)),
            )
            # Both load their half of the SDK when they are first looked at.
            _ = client.responses if self._api == "responses" else client.chat.completions
            return client

        return await to_thread.run_sync(make)


# What the SDK takes by name; all else goes into the body as it is.
_REQUIRED = ("model", "messages", "input")
_KEYS = ("api_key", "_azure_ad_token")


def _body(api: str, model: str, prompt: Prompt, options: dict[str, Any]) -> dict[str, Any]:
    if api == "responses":
        asked: dict[str, Any] = {
            "input": prompt if isinstance(prompt, str) else messages_of(prompt)
        }
    elif api == "chat":
        asked = {"messages": messages_of(prompt), "stream_options": {"include_usage": True}}
    else:
        raise ValueError(f"api is 'chat' or 'responses', not {api!r}")
    body = {"model": model, **asked, **options, "stream": True}
    return {name: value for name, value in body.items() if value is not None}


def _checked(client: object, api_key: str | None, base_url: str | None) -> object:
    if is_of(client, "openai"):
        check_free(api_key=api_key, base_url=base_url)
        if not iscoroutinefunction(getattr(client, "close", None)):
            raise TypeError("this client waits in place; pass an openai.AsyncOpenAI")
    elif client is not None and not is_http_client(client):
        raise TypeError(
            "client is an openai.AsyncOpenAI, or an AsyncClient of httpx2 or httpx; "
            f"not {type(client).__name__}"
        )
    return client


def _is_installed() -> bool:
    # Not by an import: that takes most of a second, and is done in a thread when it is needed.
    if "openai" in sys.modules:
        return sys.modules["openai"] is not None
    return find_spec("openai") is not None


async def _entered(asked: Any) -> Any:
    """Send the request by the SDK; its errors become ours, as they may repeat what was sent."""
    failure: Exception | None = None
    try:
        return await asked.__aenter__()
    except Exception as error:
        if is_of(error, "openai", "APIStatusError"):
            failure = _refusal(error)
        elif is_of(error, "openai", "APIConnectionError"):
            failure = UpstreamUnreachable()
        else:
            raise
    raise failure


def _refusal(error: Any) -> UpstreamStatus:
    response = error.response
    body = response.text[:MAX_BODY]
    return UpstreamStatus(response.status_code, body)
