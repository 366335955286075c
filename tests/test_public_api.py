"""The names that users may rely on, and what importing them costs."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from dataclasses import is_dataclass
from typing import get_type_hints

import pytest

import streamkit
from streamkit import (
    Claim,
    Event,
    Head,
    History,
    HistoryEvent,
    Page,
    Statistics,
    Status,
    errors,
    logs,
    models,
)
from streamkit.sources.process import Exit
from streamkit.sources.upstream import Reconnect

from .errors.test_errors import CLASSES

PUBLIC = {
    "Claim",
    "Encoder",
    "Event",
    "Following",
    "Format",
    "Head",
    "History",
    "HistoryEvent",
    "Line",
    "MemoryStore",
    "Page",
    "SSEDecoder",
    "Source",
    "SourceError",
    "Statistics",
    "Status",
    "Store",
    "Stream",
    "StreamError",
    "StreamkitError",
    "Streams",
    "UpstreamError",
    "UsageError",
    "as_bytes",
    "as_chunk_done",
    "as_event_jsonl",
    "as_jsonl",
    "as_relay",
    "as_sse",
    "as_text",
    "encode_sse",
    "open_source",
    "step",
    "stream_name",
}

MODULES = {
    "streamkit.adapters.aiohttp": {"error_response", "respond"},
    "streamkit.adapters.fastapi": {"StreamResponse", "error_response"},
    "streamkit.adapters.starlette": {"StreamResponse", "error_response"},
    "streamkit.errors": {
        "CleanupTimeout",
        "CursorLost",
        "EventTooLarge",
        "ExpiredStream",
        "InvalidCursor",
        "InvalidEvent",
        "InvalidName",
        "InvalidStoreURL",
        "ItemRefused",
        "MissingDependency",
        "NotASource",
        "NotRunning",
        "Overflow",
        "ReservedType",
        "ServerStopping",
        "SourceCancelled",
        "SourceError",
        "StoreAway",
        "StreamCancelled",
        "StreamEnded",
        "StreamError",
        "StreamExists",
        "StreamFailed",
        "StreamLost",
        "StreamOrphaned",
        "StreamkitError",
        "UnknownStore",
        "UnknownStream",
        "UnusableFile",
        "UpstreamContentType",
        "UpstreamCut",
        "UpstreamError",
        "UpstreamFailed",
        "UpstreamSilent",
        "UpstreamStatus",
        "UpstreamTruncated",
        "UpstreamUnreachable",
        "UsageError",
    },
    "streamkit.logs": {"Level", "LogHandler", "LogRecord", "Progress", "ProgressTracker"},
    "streamkit.models": {
        "Answer",
        "Citation",
        "Data",
        "Error",
        "Finish",
        "FinishReason",
        "InvalidChunk",
        "MissingKey",
        "ModelEvent",
        "ModelFailed",
        "ModelSilent",
        "PartEnd",
        "Sources",
        "Start",
        "Text",
        "Tone",
        "ToolCall",
        "ToolCallDelta",
        "UnknownProvider",
        "Usage",
        "accumulate",
        "from_event",
    },
    "streamkit.sinks.chunk_done": {"as_chunk_done"},
    "streamkit.sinks.event_jsonl": {"as_event_jsonl"},
    "streamkit.sinks.jsonl": {"as_jsonl"},
    "streamkit.sinks.memory": {"MemoryStore"},
    "streamkit.sinks.relay": {"as_relay"},
    "streamkit.sinks.sqlite": {"SQLiteStore"},
    "streamkit.sinks.sse": {"as_sse"},
    "streamkit.sinks.text": {"as_bytes", "as_text"},
    "streamkit.sources.any_model": {"PROVIDERS", "stream_llm", "stream_model"},
    "streamkit.sources.echo": {"stream_echo"},
    "streamkit.sources.gemini": {"DEFAULT_MODEL", "stream_gemini"},
    "streamkit.sources.openai": {"DEFAULT_MODEL", "stream_gpt"},
    "streamkit.sources.process": {
        "CommandFailed",
        "CommandNotFound",
        "CommandTimeout",
        "Exit",
        "OutputTooLarge",
        "StartFailed",
        "UnsafeArgument",
        "only",
        "option",
        "stream_process",
        "stream_shell",
    },
    "streamkit.sources.relay": {"relayed"},
    "streamkit.sources.upstream": {"Reconnect", "Upstream", "stream_sse"},
    "streamkit.testing": {"FaultyStore", "StoreBroken", "check_store"},
    "streamkit.sources.tick": {"stream_every"},
}


def test_the_package_exports_what_is_listed() -> None:
    assert set(streamkit.__all__) == PUBLIC
    shown = {name for name in dir(streamkit) if not name.startswith("_")}
    modules = {name for name in shown if inspect.ismodule(getattr(streamkit, name))}
    assert shown - modules - {"TYPE_CHECKING", "annotations", "import_module", "warn"} == PUBLIC


@pytest.mark.parametrize("module", MODULES)
def test_each_module_exports_what_is_listed(module: str) -> None:
    assert set(importlib.import_module(module).__all__) == MODULES[module]


@pytest.mark.parametrize("package", ["sources", "sinks", "adapters"])
def test_the_import_path_says_which_dependency_you_take(package: str) -> None:
    code = f"import streamkit.{package} as p; print([n for n in vars(p) if n[0] != '_'])"
    printed = run(code)
    expected = (
        "['chunk_done', 'text', 'sse', 'jsonl', 'event_jsonl']" if package == "sinks" else "[]"
    )
    assert sorted(eval(printed)) == sorted(eval(expected))


@pytest.mark.parametrize("name", sorted(PUBLIC - {"Source"}))
def test_every_public_name_says_what_it_does(name: str) -> None:
    value = getattr(streamkit, name)
    documented = value if inspect.isclass(value) or inspect.isroutine(value) else type(value)
    assert inspect.getdoc(documented)


@pytest.mark.parametrize("name", sorted(PUBLIC - {"Source"}))
def test_a_public_name_says_where_it_is_imported_from(name: str) -> None:
    value = getattr(streamkit, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        home = value.__module__
        assert home in {"streamkit", *MODULES}, home
        assert getattr(importlib.import_module(home), name) is value


@pytest.mark.parametrize(
    "module",
    [
        "streamkit.errors",
        "streamkit.logs",
        "streamkit.models",
        "streamkit.sources.process",
        "streamkit.sources.upstream",
    ],
)
def test_names_of_a_module_in_parts_say_that_they_are_of_the_whole(module: str) -> None:
    face = importlib.import_module(module)
    for name in MODULES[module]:
        if inspect.isclass(value := getattr(face, name)) or inspect.isfunction(value):
            assert value.__module__ == module


@pytest.mark.parametrize("kind", CLASSES)
def test_the_annotations_of_an_error_can_be_read(kind: type) -> None:
    assert get_type_hints(kind)


def test_the_modules_of_what_flows_are_found_once_the_package_is_imported() -> None:
    assert run(
        "import streamkit; print(streamkit.models.Text('x'), streamkit.logs.Level is not None)"
    )


@pytest.mark.parametrize(
    "value",
    [Claim, Event, Head, History, HistoryEvent, Page, Statistics, Status, logs.LogRecord]
    + [Exit, Reconnect]
    + [value for value in vars(models).values() if is_dataclass(value)],
    ids=lambda value: value.__name__,
)
def test_the_annotations_of_a_value_can_be_read(value: type) -> None:
    # As frameworks do that make a schema of it.
    assert get_type_hints(value)


@pytest.mark.parametrize("name", sorted(MODULES["streamkit.errors"] - PUBLIC))
def test_an_error_that_has_moved_is_found_and_says_where_it_lives(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"import {name} from streamkit.errors"):
        assert getattr(streamkit, name) is getattr(errors, name)


def test_a_name_that_there_is_not_is_refused_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'stream'"):
        _ = streamkit.stream  # type: ignore[attr-defined]  # on purpose


@pytest.mark.parametrize("module", ["streamkit", "streamkit.adapters.starlette"])
def test_a_stream_within_one_request_loads_no_named_streams_and_no_models(module: str) -> None:
    loaded = run(
        f"import sys, {module}, streamkit.sources.process, streamkit.sinks.sse\n"
        "print(*(name for name in sys.modules if name.startswith('streamkit')))"
    ).split()
    folders = {name.split(".")[1] for name in loaded if "." in name}
    assert not folders & {"_streams", "_following", "_store", "models", "logs", "_upstream"}


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def test_importing_the_package_loads_no_framework_and_no_sdk() -> None:
    loaded = set(
        run("import sys, streamkit; print(*{m.split('.')[0] for m in sys.modules})").split()
    )
    outside = {name for name in loaded if name not in sys.stdlib_module_names}
    # sitecustomize and editable-install hooks belong to the environment, not to the import.
    known = {"streamkit", "anyio", "idna", "typing_extensions", "orjson", "sniffio"}
    started_with = set(run("import sys; print(*{m.split('.')[0] for m in sys.modules})").split())
    assert {name for name in outside - started_with if name[0] != "_"} <= known


def test_importing_the_package_has_no_side_effect() -> None:
    changed = run(
        "import signal, threading, logging, sys\n"
        "before = signal.getsignal(signal.SIGTERM), threading.active_count(), list(sys.path)\n"
        "import streamkit, streamkit.adapters.starlette, streamkit.adapters.aiohttp\n"
        "after = signal.getsignal(signal.SIGTERM), threading.active_count(), list(sys.path)\n"
        "print(before == after, logging.getLogger('streamkit').handlers)"
    )
    assert changed == "True []"


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("streamkit.adapters.starlette", "starlette"),
        ("streamkit.adapters.fastapi", "fastapi"),
        ("streamkit.adapters.aiohttp", "aiohttp"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    for name in [*sys.modules, package]:
        if f"{name}.".startswith(f"{package}."):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(errors.MissingDependency) as caught:
        importlib.import_module(module)
    assert isinstance(caught.value, ImportError)
    hint = f"pip install 'streamkit-py[{package}]'"
    assert str(caught.value) == f"{module} needs the {package} package: {hint}"


def test_the_package_works_without_orjson() -> None:
    printed = run(
        "import sys; sys.modules['orjson'] = None\n"
        "from streamkit import as_sse\n"
        "print(as_sse.encoder().one({'a': [1, 2]}))"
    )
    assert printed == repr(b'data: {"a":[1,2]}\n\n')
