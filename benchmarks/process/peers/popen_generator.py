"""The usual answer: `Popen`, and a generator that Starlette iterates in a thread, line by line."""

from __future__ import annotations

__all__ = ("app",)

import subprocess
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

app = FastAPI()


def lines(*command: str) -> Iterator[str]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    assert process.stdout is not None
    yield from iter(process.stdout.readline, "")
    process.stdout.close()
    process.wait()


@app.get("/text/{name}")
def stream(name: str) -> StreamingResponse:
    return StreamingResponse(lines("cat", name), media_type="text/plain")
