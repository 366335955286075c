"""No key is in what is told of a failure."""

from __future__ import annotations

import pytest

from streamkit.models import Error
from streamkit.models._failures import without_secrets

KEY = "sk-abcdefgh"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(f"bad key {KEY}, sorry", "bad key …, sorry", id="whole"),
        pytest.param("bad key sk-abcd", "bad key …", id="cut within it"),
        pytest.param("bad key sk-", "bad key sk-", id="cut where it is no secret yet"),
        pytest.param("no key at all", "no key at all", id="not there"),
    ],
)
def test_a_key_is_hidden_whole_or_cut(said: str, told: str) -> None:
    error = without_secrets(Error("refused", "The model failed.", detail=said), ["", KEY])
    assert error.detail == told
    assert error.message == "The model failed."


def test_what_is_too_short_for_a_key_is_left() -> None:
    assert without_secrets(Error("refused", "", detail="none"), ["none"]).detail == "none"
