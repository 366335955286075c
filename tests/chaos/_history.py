"""What a follower saw, and whether that may be: the judge of all tests here. Rule: no I/O."""

from __future__ import annotations

__all__ = ("LAST", "Block", "Sight", "check_all", "check_one", "read_block")

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

LAST = frozenset({"end", "error", "cancelled", "orphaned"})


@dataclass(frozen=True)
class Block:
    """One event, as it came."""

    raw: bytes
    """Without the line with the time of reconnection, in which each answer differs."""
    type: str
    data: Any
    id: str

    @property
    def seq(self) -> int:
        return int(self.id.rpartition(".")[2])


@dataclass
class Sight:
    """All that one follower saw of one stream, over all of its connections."""

    blocks: list[Block] = field(default_factory=list)
    connections: int = 0
    answered: list[int] = field(default_factory=list)
    """The statuses other than 200."""

    def of(self, type: str) -> list[Block]:
        return [block for block in self.blocks if block.type == type]

    @property
    def last(self) -> str:
        """The type of the last event, or "" when none was seen."""
        return self.blocks[-1].type if self.blocks and self.blocks[-1].type in LAST else ""

    @property
    def seq(self) -> int:
        """The number of the event that was seen last."""
        return next((block.seq for block in reversed(self.blocks) if block.id), 0)


def read_block(raw: bytes) -> Block | None:
    """Read what is between two blank lines; None for a comment."""
    lines = [line for line in raw.split(b"\n") if not line.startswith((b"retry:", b":"))]
    if not lines:
        return None
    fields = dict(line.split(b": ", 1) for line in lines)
    assert len(fields) == len(lines), f"a field came twice, or cut: {raw!r}"
    data = json.loads(fields[b"data"])
    type, id = fields.get(b"event", b"message").decode(), fields.get(b"id", b"").decode()
    return Block(b"\n".join(lines), type, data, id)


def check_one(sight: Sight, *, last: str | None = None, resets: int = 0) -> None:
    """See that nothing is missing, untold, doubled, or after the end.

    Numbered items are their own witnesses: the item that says n has the number n.
    """
    expected, mark, ended = 1, None, False
    for place, block in enumerate(sight.blocks):
        near = [each.id or each for each in sight.blocks[max(0, place - 5) : place + 3]]
        said = f"{expected} was due at block {place}: {near}"
        # A name may be used again before a follower asks whether anything comes after the end.
        assert not ended or (resets and block.type == "reset"), f"after the end: {said}"
        if block.type == "gap":
            assert not block.id
            assert block.data["missed"] > 0, said
            assert block.data["first"] == expected + block.data["missed"], said
            expected = block.data["first"]
        elif block.type == "reset":
            assert not block.id
            expected, mark, ended = block.data["first"], None, False
        else:
            assert block.seq == expected, said
            expected += 1
            ended = block.type in LAST
            if not ended:
                assert block.data["n"] == block.seq, said
                mark = block.data["mark"] if mark is None else mark
                assert block.data["mark"] == mark, f"of another producer: {said}"
    assert len(sight.of("reset")) <= resets, "it was told to start again, for no reason"
    if last is not None:
        assert sight.last == last, f"it ended with {sight.blocks[-3:]}"


def check_all(
    sights: Iterable[Sight], *, last: str | None = None, resets: int = 0, gaps: bool = False
) -> None:
    """See that each follower saw what it may, and all saw the same under the same id."""
    known: dict[str, bytes] = {}
    ends: set[str] = set()
    for sight in sights:
        check_one(sight, last=last, resets=resets)
        assert gaps or not sight.of("gap"), f"untrimmed, but {sight.of('gap')}"
        for block in sight.blocks:
            if block.id:
                assert known.setdefault(block.id, block.raw) == block.raw, (
                    "the same id, other bytes"
                )
        if sight.last and not resets:
            ends.add(sight.blocks[-1].id)
    assert len(ends) <= 1, f"more than one end: {ends}"
