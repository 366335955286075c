"""One encoding for all who follow, and an encoder per response where a format needs it."""

from __future__ import annotations

from typing import Any

import pytest
from anyio import create_task_group, fail_after

from streamkit import (
    Encoder,
    Event,
    Format,
    MemoryStore,
    Store,
    Streams,
    as_event_jsonl,
    as_sse,
    as_text,
)

from .._streams.fakes import answered, body, data, eventually, numbers, rest, send_alone


class Counting(Encoder[Any]):
    """Count how often each kept event is encoded."""

    encoded: list[str]

    def one(self, item: Any) -> bytes:
        self.encoded.append(item.id)
        return f"<{item.data}>".encode()


def counting(*, shared: bool) -> tuple[list[str], Format[Any]]:
    encoded: list[str] = []

    class Fresh(Counting):
        def __init__(self) -> None:
            self.encoded = encoded

    return encoded, Format("as_counted", "text/plain", Fresh, shared=shared)


class Numbering(Encoder[Any]):
    """An encoder with a state of its own."""

    def __init__(self) -> None:
        self.count = 0

    def begin(self) -> bytes:
        return b"begin "

    def one(self, item: Any) -> bytes:
        self.count += 1
        return f"{self.count}:{item.data} ".encode()

    def end(self, count: int) -> bytes:
        return f"of {self.count}".encode()


as_numbered: Format[Any] = Format("as_numbered", "text/plain", Numbering)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["pumped here", "read from the store"])
async def test_an_event_is_encoded_once_however_many_follow(
    store: Store, *, shared: bool, elsewhere: bool
) -> None:
    encoded, format = counting(shared=shared)
    bodies: list[bytes] = []
    async with Streams(store, drain=0) as streams, Streams(store, drain=0) as other:
        here = other if elsewhere else streams

        async def follow() -> None:
            bodies.append(await body(here.follow("a"), format))

        with fail_after(10):
            async with create_task_group() as tasks, streams.open("a") as stream:
                for _ in range(50):
                    tasks.start_soon(follow)
                await eventually(lambda: here.statistics().followers == 50)
                for number in range(20):
                    await send_alone(streams, stream, str(number))
    assert bodies == [b"".join(b"<%d>" % number for number in range(20))] * 50
    assert len(set(encoded)) == 20
    assert len(encoded) == (20 if shared else 1000)


async def test_followers_at_the_tail_are_given_the_same_bytes_and_not_a_copy(
    streams: Streams,
) -> None:
    async with streams.open("a") as stream:
        followers = [await answered(streams.follow("a"), as_sse) for _ in range(5)]
        await send_alone(streams, stream, "x")
        await eventually(lambda: not any(follower.waits for follower in followers))
        taken = [await follower.take() for follower in followers]
        assert taken[0].startswith(b"data: x\nid: ")
        assert len({id(each) for each in taken}) == 1
        for follower in followers:
            follower.leave()


async def test_followers_that_fell_behind_together_share_what_they_missed(
    streams: Streams,
) -> None:
    encoded, format = counting(shared=True)
    async with streams.open("a") as stream:
        followers = [await answered(streams.follow("a"), format) for _ in range(5)]
        for number in range(10):
            await send_alone(streams, stream, str(number))
        await eventually(lambda: followers[0]._mirror.seq == 10)
        taken = [await follower.take() for follower in followers]
        assert set(taken) == {b"".join(b"<%d>" % number for number in range(10))}
        assert len(encoded) == 10
        for follower in followers:
            follower.leave()


@pytest.mark.parametrize("cut", range(6))
async def test_an_encoder_with_a_state_is_made_for_each_response(
    streams: Streams, cut: int
) -> None:
    following = await streams.start("a", numbers(5))
    whole = await body(following, as_numbered)
    assert whole == b"1:1 2:2 3:3 4:4 5:5 "
    events = [event async for event in following]
    after = events[cut - 1].id if cut else ""
    follower = await answered(following, as_numbered, last_event_id=after)
    left = 5 - cut
    expected = b"".join(b"%d:%d " % (each, each + cut) for each in range(1, left + 1))
    assert await rest(follower) == expected
    assert follower.last is not None
    assert follower.encoder.last(follower.last) == b"of %d" % left


async def test_a_user_s_format_may_say_what_is_missing_and_how_it_ended(
    streams: Streams,
) -> None:
    class Telling(Encoder[Any]):
        def one(self, item: Any) -> bytes:
            return str(item).encode()

        def notice(self, event: Event) -> bytes:
            return f"[{event.type}]".encode()

    format: Format[Any] = Format("as_told", "text/plain", Telling, shared=True)
    following = await streams.start("a", ["x", "y"])
    assert await body(following, format) == b"xy"
    assert await body(following, format, last_event_id="abcdefgh.4") == b"[reset]xy"


@pytest.mark.parametrize("format", [as_sse, as_text, as_event_jsonl], ids=str)
async def test_wherever_the_blocks_are_cut_the_bytes_are_the_same(
    streams: Streams, format: Format[Any]
) -> None:
    async with streams.open("a") as stream:
        for size in (1, 3, 7, 2):
            for number in range(size):
                stream.send_nowait(f"{size}.{number}")
            await send_alone(streams, stream, "-")
        everything = [event async for event in _first(streams, 17)]
        follower = await answered(streams.follow("a"), format)
        whole = await follower.take()
        follower.leave()
        for cut, event in enumerate(everything[:-1]):
            follower = await answered(streams.follow("a"), format, last_event_id=event.id)
            part = await follower.take()
            follower.leave()
            assert whole.endswith(part), cut
            assert part.count(b"-") == data(everything[cut + 1 :]).count("-") or format != as_text


async def _first(streams: Streams, count: int) -> Any:
    async for event in streams.follow("a"):
        yield event
        count -= 1
        if not count:
            return


async def test_a_format_that_fails_to_encode_fails_for_its_followers_alone() -> None:
    class Failing(Encoder[Any]):
        def one(self, item: Any) -> bytes:
            raise ValueError("mine")

    format: Format[Any] = Format("as_failed", "text/plain", Failing, shared=True)
    async with Streams(MemoryStore(), drain=0) as streams:
        following = await streams.start("a", ["x"])
        with pytest.raises(ValueError, match="mine"):
            await body(following, format)
        assert await body(following, as_text) == b"x"
        assert streams.statistics().followers == 0
