"""A browser that leaves a chat ends the request to the other service, on each framework."""

from __future__ import annotations

__all__ = ()

import socket
import time
from collections.abc import Iterator

import pytest

from examples.demo.content import FRAMEWORKS
from examples.demo.probe import Running

# From the browser's leaving until the other service sees it.
AT_ONCE = 0.5
TIMEOUT = 10.0

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    b'event: message\ndata: {"type": "content", "content": "Based on"}\n\n'
)

pytestmark = pytest.mark.slow  # servers in processes of their own


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Return where the other service listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        yield listener


@pytest.fixture(scope="module", params=FRAMEWORKS)
def server(request: pytest.FixtureRequest, listener: socket.socket) -> Iterator[Running]:
    upstream = f"http://127.0.0.1:{listener.getsockname()[1]}/answers"
    with Running(request.param, STREAMKIT_DEMO_UPSTREAM=upstream) as server:
        server.wait_until_ready()
        yield server


@pytest.mark.parametrize("answer", [b"", ANSWER], ids=["before its answer", "in its answer"])
def test_the_other_service_sees_at_once_that_the_browser_left(
    server: Running, listener: socket.socket, answer: bytes
) -> None:
    browser = socket.create_connection(("127.0.0.1", int(server.url.split(":")[2])))
    browser.settimeout(TIMEOUT)
    browser.sendall(b"GET /api/chat/stream?message=Why HTTP/1.1\r\nHost: x\r\n\r\n")
    service, _ = listener.accept()
    service.settimeout(TIMEOUT)
    with service, browser:
        assert service.recv(65536).startswith(b"POST /answers ")
        service.sendall(answer)
        received = b""
        while answer and b"Based on" not in received:
            received += browser.recv(65536)
        browser.close()
        left = time.monotonic()
        while service.recv(65536):
            pass
        assert time.monotonic() - left < AT_ONCE
