"""Every error says what is, whose mistake it was, and nothing that is for the log."""

from __future__ import annotations

import re

import pytest

import streamkit
from streamkit.errors import _base, _streams, _upstream
from streamkit.errors._base import StreamkitError, public_words
from streamkit.models import _errors as _models

MODULES = (_base, _streams, _models, _upstream)
CLASSES = [
    value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, type)
    and issubclass(value, StreamkitError)
    and value.__module__ == module.__name__
]
TREES = " ".join(str(module.__doc__) for module in MODULES)


@pytest.mark.parametrize("kind", CLASSES)
def test_each_error_has_a_status_a_kebab_case_code_and_a_place_in_the_tree(
    kind: type[StreamkitError],
) -> None:
    assert 400 <= kind.status < 600
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert f" {kind.__name__} " in TREES or kind is StreamkitError


def test_codes_are_unique() -> None:
    # Some are a nearer case of their parent, and keep its code.
    codes = [kind.code for kind in CLASSES if "code" in vars(kind)]
    assert len(set(codes)) == len(codes)


def test_what_is_not_ours_is_told_as_a_failed_source_and_no_more() -> None:
    assert public_words(ValueError("password=1234")) == ("source-failed", "The source failed.")


def test_what_is_ours_tells_its_sentence() -> None:
    assert public_words(streamkit.EventTooLarge(10)) == (
        "event-too-large",
        "an event exceeds 10 bytes; raise max_event_bytes",
    )
