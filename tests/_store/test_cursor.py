"""Cursors: what may be one, and when a follower may go on from where it stood."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from streamkit import Event, Head
from streamkit._store.contract import CLAIMS_KEPT
from streamkit._store.cursor import (
    START,
    Cursor,
    format_cursor,
    is_valid,
    new_token,
    parse_cursor,
    token_at,
)
from streamkit.errors import InvalidCursor

TOKENS = st.text("abcxyz0189", min_size=1, max_size=32)


def head_of(claims: tuple[tuple[str, int], ...], tail: int) -> Head:
    return Head("life1", 1, claims, 1, tail, "open", None, 0.0, None, None)


TWO = head_of((("aa", 1), ("bb", 5)), 9)  # events 1 to 4 under aa, 5 to 9 under bb


@given(TOKENS, st.integers(0, 10**15))
def test_a_cursor_that_was_written_is_read_as_it_was(token: str, seq: int) -> None:
    text = format_cursor(head_of(((token, 0),), seq), seq)
    assert parse_cursor(text) == (token, seq)
    assert Event(id=text).id == text  # it survives a header


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a.",
        ".1",
        "a.01",
        "a.-1",
        "a.+1",
        "a.1.2",
        "a.1 ",
        " a.1",
        "a.1\n",
        "A.1",
        "ä.1",
        "a.\N{ARABIC-INDIC DIGIT ONE}",
        "a.1e3",
        "end",
        "a" * 33 + ".1",
        "a." + "9" * 17,
    ],
)
def test_what_no_stream_can_have_given_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        parse_cursor(text)


@given(st.text())
def test_any_text_is_a_cursor_that_is_written_the_same_or_refused(text: str) -> None:
    try:
        cursor = parse_cursor(text)
    except InvalidCursor:
        return
    assert text == "" if cursor == START else text == f"{cursor.token}.{cursor.seq}"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("", True),
        ("aa.0", True),
        ("aa.4", True),
        ("aa.5", False),
        ("bb.4", True),
        ("bb.5", True),
        ("bb.9", True),
        ("bb.10", False),
        ("cc.1", False),
        ("aa.9999999999", False),
    ],
)
def test_a_cursor_is_valid_up_to_where_the_next_claim_began(text: str, valid: bool) -> None:
    assert is_valid(parse_cursor(text), TWO) is valid


def test_an_event_has_the_token_of_the_claim_it_was_written_under() -> None:
    assert [token_at(TWO, seq) for seq in (1, 4, 5, 9)] == ["aa", "aa", "bb", "bb"]


def test_an_event_whose_claim_is_forgotten_has_the_oldest_known_token() -> None:
    assert token_at(head_of((("bb", 5), ("cc", 7)), 9), 2) == "bb"


def test_tokens_are_short_and_differ() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(parse_cursor(f"{token}.1") == (token, 1) for token in tokens)


@dataclass
class Kept:
    """What a store holds: who claimed when, and who wrote each event."""

    claims: tuple[tuple[str, int], ...] = (("w0", 1),)
    log: tuple[str, ...] = ()


@dataclass
class Followed:
    """A follower that left: its cursor, and the events that it saw."""

    cursor: Cursor
    seen: tuple[str, ...] = field(repr=False)


class Leaving(RuleBasedStateMachine):
    """Writers come and go, and the store may be put back to any of its earlier states.

    A writer whose claim survived writes the same again. So who wrote an event, and its number, say
    which event it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept = Kept()
        self.writers = 1
        self.states = [self.kept]
        self.followers: list[Followed] = []

    @rule(count=st.integers(1, 4))
    def write(self, count: int) -> None:
        claims, log = self.kept.claims, self.kept.log
        self.change(Kept(claims, log + (claims[-1][0],) * count))

    @rule()
    def take_over(self) -> None:
        claim = (f"w{self.writers}", len(self.kept.log) + 1)
        self.writers += 1
        self.change(Kept((*self.kept.claims, claim)[-CLAIMS_KEPT:], self.kept.log))

    @precondition(lambda self: len(self.states) > 1)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.kept = data.draw(st.sampled_from(self.states))
        if data.draw(st.booleans()):  # the last writer is gone too, or its claim was lost
            self.take_over()

    @precondition(lambda self: self.kept.log)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(1, len(self.kept.log)))
        cursor = parse_cursor(format_cursor(self.head(), seq))
        self.followers.append(Followed(cursor, self.kept.log[:seq]))

    @invariant()
    def whoever_may_go_on_has_seen_what_is_there(self) -> None:
        for follower in self.followers:
            there = self.kept.log[: follower.cursor.seq]
            if is_valid(follower.cursor, self.head()):
                assert there == follower.seen
            elif self.writers <= CLAIMS_KEPT:
                assert there != follower.seen

    def change(self, kept: Kept) -> None:
        self.kept = kept
        self.states.append(kept)

    def head(self) -> Head:
        return head_of(self.kept.claims, len(self.kept.log))


TestLeaving = pytest.mark.slow(Leaving.TestCase)  # because of 100 histories of 50 steps
