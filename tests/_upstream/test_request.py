"""What every request shares: how long to wait, whom to trust, how much of a refusal to read."""

from __future__ import annotations

from email.utils import formatdate
from time import time
from typing import Any

import httpx2
import pytest

from streamkit._upstream.events import retry_after
from streamkit._upstream.request import MAX_BODY, Response, import_first, request, tls

from ..sources._upstream_server import Cut, Exchange, refuses, serving


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_a_server_says_for_how_long_it_wants_to_be_left_alone(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


def test_it_may_say_until_when() -> None:
    seconds = retry_after({"retry-after": formatdate(time() + 60, usegmt=True)})
    assert seconds is not None
    assert 58 < seconds <= 60


async def test_of_a_long_refusal_only_the_beginning_is_read() -> None:
    async with (
        serving(refuses(500, b"x" * 100_000)) as server,
        request(None, "GET", server.url, headers={}) as response,
    ):
        assert response.status == 500
        assert await response.beginning() == "x" * MAX_BODY


async def test_a_refusal_that_is_cut_is_told_as_far_as_it_came() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.head(500)
        await exchange.send(b"no\xff")
        raise Cut

    async with (
        serving(script) as server,
        request(None, "GET", server.url, headers={}) as response,
    ):
        assert await response.beginning() == "no\ufffd"


@pytest.mark.slow  # the limit has to pass
async def test_a_refusal_that_trickles_is_not_waited_for() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.head(500)
        await exchange.send(b"no")
        await exchange.client_left.wait()

    async with (
        serving(script) as server,
        request(None, "GET", server.url, headers={}) as response,
    ):
        assert await response.beginning(within=0.1) == "no"


async def test_an_error_that_is_not_of_the_connection_stays_what_it_is() -> None:
    class Body:
        async def aiter_bytes(self) -> Any:
            raise LookupError("mine")
            yield b""

    with pytest.raises(LookupError):
        await anext(Response(200, {}, Body()).chunks())
    with pytest.raises(LookupError):
        await Response(500, {}, Body()).beginning()


async def test_a_package_that_lacks_something_of_its_own_says_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        raise ModuleNotFoundError("no h11", name="h11")

    monkeypatch.setattr("streamkit._upstream.request.import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="h11"):
        await import_first("a package that is not loaded")


def test_certificates_are_read_once() -> None:
    assert tls(httpx2) is tls(httpx2)
