"""A request whose answer is read as it comes: the one place that touches an HTTP client.

The client is duck-typed: `stream()` of httpx2 or httpx. Without one, a client is made for this
request alone, of whichever is installed; its pool could not be shared by two event loops. The
answer is asked for as it is: behind a compressor, small events wait for large ones.

Leaving closes the connection at once, unless the answer was read to its end. Errors of the client
become ours, and neither headers nor URL are in them.
"""

from __future__ import annotations

__all__ = (
    "MAX_BODY",
    "Response",
    "import_first",
    "is_of_transport",
    "new_client",
    "request",
    "tls",
)

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

from anyio import CancelScope, current_time, to_thread

from .._feeding.closing import closing_within
from ..errors import MissingDependency, UpstreamCut, UpstreamUnreachable

# As much of a refusal as is worth a look. It is there at once; a trickle is not waited for.
MAX_BODY = 4096
BODY_TIMEOUT = 2.0

# To close a connection is a matter of milliseconds, but TLS may wait for its peer.
CLOSE_TIMEOUT = 2.0


class Response:
    """An answer whose head is there and whose body is read as it comes."""

    def __init__(self, status: int, headers: Mapping[str, str], body: Any) -> None:
        """`headers` takes names in any case; `body` has `aiter_bytes()`, as httpx has it."""
        self.status = status
        self.headers = headers
        self._body = body
        self._read: Any = None

    async def finish(self) -> None:
        """End the client's generators, once the connection is closed.

        Each is around another, and closing the outer one would leave the inner ones to whoever
        collects them; but an error goes through all of them.
        """
        if self._read is not None:
            # Cancelled, as a stream of HTTP/2 that was closed would wait for the others' bytes.
            with suppress(Exception), CancelScope() as scope:
                scope.cancel()
                async for _ in self._read:
                    pass

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield bytes as they come; a connection that breaks is `UpstreamCut`."""
        self._read = self._body.aiter_bytes()
        try:
            async for chunk in self._read:
                yield chunk
        except Exception as error:
            if is_of_transport(error):
                raise UpstreamCut from error
            raise

    async def beginning(self, within: float = BODY_TIMEOUT) -> str:
        """Return at most 4 KiB of the body, as far as they come soon: of a refusal, say."""
        body = b""
        try:
            with CancelScope(deadline=current_time() + within):
                self._read = self._body.aiter_bytes()
                async for chunk in self._read:
                    body += chunk[: MAX_BODY - len(body)]
                    if len(body) == MAX_BODY:
                        break
        except Exception as error:
            if not is_of_transport(error):
                raise
        return body.decode("utf-8", "replace")


@asynccontextmanager
async def request(
    client: Any,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None = None,
    connect_timeout: float = 10.0,
) -> AsyncGenerator[Response, None]:
    """Send a request and give its answer; None for a client of its own. Leaving closes it at once.

    Only connecting has a timeout here; how long an answer may be silent is the caller's to say.
    """
    async with AsyncExitStack() as stack:
        if client is None:
            client = new_client(await import_first("httpx2", "httpx"))
            stack.push_async_callback(_closed, client.aclose)
        sent = client.stream(
            method,
            url,
            headers={"Accept-Encoding": "identity", **headers},
            content=content,
            timeout=(connect_timeout, None, None, connect_timeout),
        )
        refused = False
        try:
            response = await sent.__aenter__()
        except Exception as error:
            if is_of_transport(error):
                raise UpstreamUnreachable from error
            refused = _is_of(error, "LocalProtocolError", "UnsupportedProtocol", "InvalidURL")
            if not refused:
                raise
        if refused:  # without its cause, which shows the header that it refused
            raise ValueError("the request cannot be sent: its URL or a header of it is not valid")
        stack.push_async_callback(_closed, partial(sent.__aexit__, None, None, None))
        answer = Response(response.status_code, response.headers, response)
        stack.push_async_callback(_closed, answer.finish)
        stack.push_async_callback(_closed, response.aclose)
        yield answer


async def import_first(*names: str) -> Any:
    """Import the first of these packages that is installed, in a thread: it may take a second."""
    for name in names:
        if (module := sys.modules.get(name)) is not None:
            return module
        try:
            return await to_thread.run_sync(import_module, name)
        except ModuleNotFoundError as error:
            if error.name != name.partition(".")[0]:
                raise
    raise MissingDependency("an HTTP request", names[0], extra="client")


def new_client(httpx: Any) -> Any:
    """Return a client of httpx2 or httpx."""
    return httpx.AsyncClient(verify=tls(httpx))


@lru_cache(maxsize=2)
def tls(httpx: Any) -> Any:
    """Return whom a client of this library trusts."""
    # To read the certificates takes 30 ms of everybody's time, and a context may be shared.
    return httpx.create_ssl_context()


def is_of_transport(error: BaseException) -> bool:
    """Tell whether an HTTP client says that the connection failed, and not the caller."""
    return _is_of(error, "RequestError") and not _is_of(
        error, "LocalProtocolError", "UnsupportedProtocol"
    )


def _is_of(error: BaseException, *names: str) -> bool:
    # By name, as both libraries have it: an import of theirs would load them.
    return any(kind.__name__ in names for kind in type(error).__mro__)


async def _closed(close: Any) -> None:
    with closing_within(CLOSE_TIMEOUT):
        await close()
