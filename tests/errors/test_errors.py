"""Every error says what is, whose mistake it was, and nothing that is for the log."""

from __future__ import annotations

import re
import sys

import pytest

from streamkit import errors, models
from streamkit.errors import EventTooLarge, StreamkitError
from streamkit.errors._base import public_words
from streamkit.models import _errors as model_errors
from streamkit.sources import process
from streamkit.sources.process import _errors as process_errors

# Each public home of errors, and the text that draws their tree.
HOMES = {
    errors: errors.__doc__,
    process: process_errors.__doc__,
    models: model_errors.__doc__,
}
CLASSES = [
    value
    for home in HOMES
    for value in (getattr(home, name) for name in home.__all__)
    if isinstance(value, type) and issubclass(value, StreamkitError)
]
TREES = " ".join(map(str, HOMES.values()))


@pytest.mark.parametrize("kind", CLASSES)
def test_each_error_has_a_status_a_kebab_case_code_and_a_place_in_the_tree(
    kind: type[StreamkitError],
) -> None:
    assert 400 <= kind.status < 600
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert re.search(rf"\b{kind.__name__}\b", TREES)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_traceback_names_the_module_that_an_error_is_imported_from(
    kind: type[StreamkitError],
) -> None:
    assert kind.__module__ in ("streamkit.errors", "streamkit.models", "streamkit.sources.process")
    assert getattr(sys.modules[kind.__module__], kind.__name__) is kind


def test_codes_are_unique() -> None:
    # Some are a nearer case of their parent, and keep its code.
    codes = [kind.code for kind in CLASSES if "code" in vars(kind)]
    assert len(set(codes)) == len(codes)


def test_what_is_not_ours_is_told_as_a_failed_source_and_no_more() -> None:
    assert public_words(ValueError("password=1234")) == ("source-failed", "The source failed.")


def test_what_is_ours_tells_its_sentence() -> None:
    assert public_words(EventTooLarge(10)) == (
        "event-too-large",
        "an event exceeds 10 bytes; raise max_event_bytes",
    )
