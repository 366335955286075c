"""Two carriers look up connections in the frames of Google's SDKs: a new version may move them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
from anyio import create_task_group, move_on_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from streamkit.models._carriers.genai import _in_generator

from ...sources._model_server import ASKERS, Asker, array, asker, never_answers, opening, says_all
from ...sources._upstream_server import Server, serving

__all__ = ("asker",)  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp:DeprecationWarning")


def asked_by(*names: str) -> pytest.MarkDecorator:
    found = [each for each in ASKERS if each.name in names]
    assert len(found) == len(names)
    return pytest.mark.parametrize("asker", found, indirect=True, ids=str)


def moved(package: str, tried: str) -> str:
    return (
        f"{package} {version(package)} keeps its connection elsewhere than {tried}, on which its "
        "carrier was tried: find out where it is now, and what closes it at once"
    )


async def closed_at_once(server: Server) -> bool:
    with move_on_after(0.5):
        await server.exchanges[-1].client_left.wait()
    return server.exchanges[-1].client_left.is_set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # aiohttp knows no other one
@asked_by("genai aiohttp", "genai httpx2")
async def test_google_genai_has_its_answer_in_the_frame_of_its_generator(asker: Asker) -> None:
    begun = asker.encode(opening(asker.wire))
    async with (
        serving(says_all(asker, begun, wait=True)) as server,
        asker.asking(server) as source,
    ):
        await anext(source)
        carrier: Any = source._carrier
        assert _in_generator(carrier._stream), moved("google-genai", "3.4 to 3.6")
        await source.aclose()
        assert await closed_at_once(server), moved("google-genai", "3.4 to 3.6")


@asked_by("generativeai rest")
async def test_google_generativeai_has_its_socket_in_the_frames_of_its_thread(
    asker: Asker,
) -> None:
    begun = array(opening(asker.wire), end=False)
    async with (
        serving(says_all(asker, begun, wait=True)) as server,
        asker.asking(server) as source,
    ):
        await anext(source)
        await source.aclose()
        assert await closed_at_once(server), moved("google-generativeai", "0.8.6")


@asked_by("generativeai rest")
async def test_it_is_there_before_the_answer_too(asker: Asker) -> None:
    async with serving(never_answers) as server, asker.asking(server) as source:
        async with create_task_group() as tasks:
            tasks.start_soon(source.open)
            while not server.exchanges:
                await checkpoint()
            await wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert await closed_at_once(server), moved("google-generativeai", "0.8.6")
