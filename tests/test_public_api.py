"""The names that users may rely on, and what importing them costs."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import streamkit

PUBLIC = {
    "Claim",
    "CleanupTimeout",
    "CommandFailed",
    "CommandNotFound",
    "CommandTimeout",
    "CursorLost",
    "Encoder",
    "Event",
    "EventTooLarge",
    "ExpiredStream",
    "Following",
    "Format",
    "Head",
    "History",
    "HistoryEvent",
    "InvalidCursor",
    "InvalidEvent",
    "InvalidName",
    "InvalidStoreURL",
    "ItemRefused",
    "Line",
    "MemoryStore",
    "MissingDependency",
    "MissingKey",
    "ModelFailed",
    "ModelSilent",
    "NotASource",
    "NotRunning",
    "OutputTooLarge",
    "Overflow",
    "Page",
    "ReservedType",
    "SSEDecoder",
    "ServerStopping",
    "Source",
    "SourceCancelled",
    "SourceError",
    "StartFailed",
    "Statistics",
    "Status",
    "Store",
    "StoreAway",
    "Stream",
    "StreamCancelled",
    "StreamEnded",
    "StreamError",
    "StreamExists",
    "StreamFailed",
    "StreamLost",
    "StreamOrphaned",
    "StreamkitError",
    "Streams",
    "UnknownProvider",
    "UnknownStore",
    "UnknownStream",
    "UnsafeArgument",
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
    "streamkit.logs": {"Level", "LogHandler", "LogRecord", "Progress", "ProgressTracker"},
    "streamkit.models": {
        "Answer",
        "Citation",
        "Data",
        "Error",
        "Finish",
        "FinishReason",
        "ModelEvent",
        "PartEnd",
        "Sources",
        "Start",
        "Text",
        "Tone",
        "ToolCall",
        "ToolCallDelta",
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
    "streamkit.sources.process": {"Exit", "only", "option", "stream_process", "stream_shell"},
    "streamkit.sources.relay": {"relayed"},
    "streamkit.sources.upstream": {"Reconnect", "Upstream", "stream_sse"},
    "streamkit.testing": {"FaultyStore", "StoreBroken", "check_store"},
    "streamkit.sources.tick": {"stream_every"},
}


def names(module: object) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


def test_the_package_exports_what_is_listed() -> None:
    assert names(streamkit) == PUBLIC


@pytest.mark.parametrize("module", MODULES)
def test_each_module_exports_what_is_listed(module: str) -> None:
    assert set(importlib.import_module(module).__all__) == MODULES[module]


@pytest.mark.parametrize("package", ["sources", "sinks", "adapters"])
def test_the_import_path_says_which_dependency_you_take(package: str) -> None:
    code = f"import streamkit.{package} as p; print([n for n in vars(p) if n[0] != '_'])"
    printed = run(code)
    expected = (
        "['chunk_done', 'relay', 'text', 'sse', 'jsonl', 'event_jsonl', 'memory']"
        if package == "sinks"
        else "[]"
    )
    assert sorted(eval(printed)) == sorted(eval(expected))


@pytest.mark.parametrize("name", sorted(PUBLIC - {"Source"}))
def test_every_public_name_says_what_it_does(name: str) -> None:
    value = getattr(streamkit, name)
    documented = value if inspect.isclass(value) or inspect.isroutine(value) else type(value)
    assert inspect.getdoc(documented)


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
    with pytest.raises(streamkit.MissingDependency) as caught:
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
