"""Log records are exact on the wire, and the bridge from `logging` never hurts who logs."""

from __future__ import annotations

import copy
import dataclasses
import logging
import pickle
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from streamkit import Event, Line, as_jsonl, as_sse, as_text
from streamkit.errors import Overflow, StreamEnded, StreamLost
from streamkit.logs import Level, LogHandler, LogRecord, _timestamp

WHEN = "2026-11-20T15:30:00.123Z"


def record(message: str = "parsing", level: Level = "info") -> LogRecord:
    return LogRecord(message, level, timestamp=WHEN)


def test_a_record_is_one_unnamed_event_of_an_event_stream() -> None:
    assert as_sse.encoder().one(record()) == (
        b'data: {"timestamp":"%b","log_level":"info","message":"parsing"}\n\n' % WHEN.encode()
    )


def test_a_record_is_one_record_of_json_lines() -> None:
    assert as_jsonl.encoder().one(record(level="error")) == (
        b'{"timestamp":"%b","log_level":"error","message":"parsing"}\n' % WHEN.encode()
    )


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param("parsing", "parsing", id="a line"),
        pytest.param("", "", id="nothing"),
        pytest.param("two\nlines", "two\nlines", id="lines are kept"),
        pytest.param("50 %|█", "50 %|█", id="as it is"),
        pytest.param("\ud800", "\N{REPLACEMENT CHARACTER}", id="a lone surrogate"),
    ],
)
def test_a_record_is_a_line_of_text(message: str, text: str) -> None:
    assert as_text.encoder().one(record(message)) == f"[{WHEN}] INFO: {text}\n".encode()


def test_a_message_of_several_lines_is_one_event() -> None:
    sent = as_sse.encoder().one(record("two\nlines\r\n\0"))
    assert sent.count(b"\n") == 2
    assert rb'"message":"two\nlines\r\n\u0000"' in sent


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_levels_are_lower_case_in_data_and_upper_case_in_text(level: Level) -> None:
    event = record(level=level).to_event()
    assert event == Event(data={"timestamp": WHEN, "log_level": level, "message": "parsing"})
    assert record(level=level).to_text() == f"[{WHEN}] {level.upper()}: parsing\n"


@pytest.mark.parametrize("level", ["INFO", "warn", "", "fatal", 20, None])
def test_another_level_is_refused(level: Any) -> None:
    said = f"a log level is debug, info, warning, error, critical; not {level!r}"
    with pytest.raises(ValueError, match=re.escape(said)):
        LogRecord("parsing", level)


@pytest.mark.parametrize("message", [None, 5, b"parsing", ValueError("parsing")])
def test_a_message_that_is_no_text_is_refused(message: Any) -> None:
    said = f"a log message is a str, not {type(message).__name__}; write str(it)"
    with pytest.raises(TypeError, match=re.escape(said)):
        LogRecord(message)


def test_the_line_of_a_command_is_a_message_like_any_other() -> None:
    logged = record(Line("one", stream="stderr"))
    assert type(logged.message) is str
    assert logged == record("one")


@pytest.mark.parametrize(
    ("milliseconds", "timestamp"),
    [
        pytest.param(0, "1970-01-01T00:00:00.000Z", id="the epoch"),
        pytest.param(1, "1970-01-01T00:00:00.001Z", id="leading zeros"),
        pytest.param(999, "1970-01-01T00:00:00.999Z", id="the end of a second"),
        pytest.param(1000, "1970-01-01T00:00:01.000Z", id="the next second"),
        pytest.param(-1, "1969-12-31T23:59:59.999Z", id="before the epoch"),
        pytest.param(1_795_188_600_123, WHEN, id="today"),
        pytest.param(1_795_188_599_999, "2026-11-20T15:29:59.999Z", id="a clock that is set back"),
        pytest.param(951_782_400_000, "2000-02-29T00:00:00.000Z", id="a leap day"),
    ],
)
def test_a_timestamp_is_utc_with_milliseconds(milliseconds: int, timestamp: str) -> None:
    assert _timestamp(milliseconds) == timestamp


def test_a_record_is_of_the_moment_when_it_is_made() -> None:
    before = datetime.now(UTC)
    made = datetime.fromisoformat(LogRecord("parsing").timestamp)
    # Milliseconds are cut off, not rounded.
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= made
    assert made <= datetime.now(UTC)


def test_records_in_a_row_sort_as_text() -> None:
    timestamps = [LogRecord("parsing").timestamp for _ in range(1000)]
    assert timestamps == sorted(timestamps)


def test_a_record_is_a_value() -> None:
    assert record() == record()
    assert record() != record("other")
    assert {record(): 1}[copy.copy(record())] == 1
    assert pickle.loads(pickle.dumps(record())) == record()
    assert dataclasses.replace(record(), level="error") == record(level="error")
    assert repr(record()) == f"LogRecord(timestamp='{WHEN}', level='info', message='parsing')"
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().level = "error"  # type: ignore[misc]  # that is the point


def test_a_store_knows_a_record_by_its_kind() -> None:
    assert LogRecord.kind == record().kind == "log"


class Told:
    """What a stream was told; it fails on request."""

    def __init__(self, error: Exception | None = None) -> None:
        self.records: list[tuple[str, Level]] = []
        self.error = error

    def log(self, message: str, level: Level = "info") -> None:
        if self.error is not None:
            raise self.error
        self.records.append((message, level))


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a logger that no other test knows."""
    logger = logging.Logger("crawler", logging.DEBUG)
    yield logger
    for handler in logger.handlers:
        handler.close()


@pytest.mark.parametrize(
    ("number", "level"),
    [
        pytest.param(1, "debug", id="below all"),
        pytest.param(logging.DEBUG, "debug", id="debug"),
        pytest.param(19, "debug", id="just below info"),
        pytest.param(logging.INFO, "info", id="info"),
        pytest.param(25, "info", id="between two"),
        pytest.param(logging.WARNING, "warning", id="warning"),
        pytest.param(logging.ERROR, "error", id="error"),
        pytest.param(logging.CRITICAL, "critical", id="critical"),
        pytest.param(99, "critical", id="above all"),
    ],
)
def test_a_level_of_logging_becomes_one_of_ours(
    number: int, level: Level, logger: logging.Logger
) -> None:
    told = Told()
    logger.setLevel(1)
    logger.addHandler(LogHandler(told))
    logger.log(number, "parsing %s of %d", "page", 3)
    assert told.records == [("parsing page of 3", level)]


def test_a_handler_leaves_out_what_is_below_its_level(logger: logging.Logger) -> None:
    told = Told()
    logger.addHandler(LogHandler(told, "WARNING"))
    logger.info("parsing")
    logger.warning("slow")
    assert told.records == [("slow", "warning")]


def test_no_traceback_and_no_format_reaches_a_stream(logger: logging.Logger) -> None:
    told = Told()
    handler = LogHandler(told)
    handler.setFormatter(logging.Formatter("%(pathname)s %(message)s"))
    logger.addHandler(handler)
    try:
        raise ValueError("secret")
    except ValueError:
        logger.exception("parsing failed", stack_info=True)
    assert told.records == [("parsing failed", "error")]


@pytest.mark.parametrize(
    ("name", "heard"),
    [("streamkit", False), ("streamkit.sources", False), ("streamkitten", True), ("root", True)],
)
def test_what_the_library_logs_itself_is_not_sent_to_a_stream(name: str, heard: bool) -> None:
    told = Told()
    logger = logging.Logger(name)
    logger.addHandler(LogHandler(told))
    logger.error("the store is away")
    assert bool(told.records) == heard


@pytest.mark.parametrize("error", [StreamEnded("a"), StreamLost("a", "it was deleted")])
def test_records_after_the_end_are_left_out(
    error: Exception, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.addHandler(LogHandler(Told(error)))
    logger.info("parsing")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [Overflow("a"), OSError("broken"), RecursionError()])
def test_a_failure_is_shown_and_not_raised(
    error: Exception, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.addHandler(LogHandler(Told(error)))
    logger.info("parsing")
    shown = capsys.readouterr().err
    assert "--- Logging error ---" in shown
    assert type(error).__name__ in shown


def test_a_record_that_cannot_be_formatted_is_not_raised(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told()
    logger.addHandler(LogHandler(told))
    logger.info("%d pages", "many")
    assert told.records == []
    assert "--- Logging error ---" in capsys.readouterr().err


def test_a_handler_serves_all_threads(logger: logging.Logger) -> None:
    told = Told()
    logger.addHandler(LogHandler(told))
    threads = [threading.Thread(target=logger.info, args=(f"page {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told.records) == [(f"page {n}", "info") for n in range(8)]
