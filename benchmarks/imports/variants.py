"""What is imported, each in a fresh process. All but `anyio` import anyio first."""

from __future__ import annotations

__all__ = ("VARIANTS",)

VARIANTS = {
    "anyio": "import anyio",
    "streamkit": "import anyio, streamkit",
    "streamkit-response": (
        "import anyio, starlette.responses; from streamkit import as_sse; "
        "from streamkit.adapters.starlette import StreamResponse"
    ),
    "streamkit-named": "import anyio; from streamkit import Streams, MemoryStore, as_sse",
    "sse-starlette": "import anyio; from sse_starlette import EventSourceResponse",
    "starlette": "import anyio, starlette.responses",
}
