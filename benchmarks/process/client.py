"""The client: only reads while the clock runs, then undoes the framing and checks every byte.

A process of its own, so that it shares no interpreter with what it measures. Prints one object.

    python -m benchmarks.process.client FRAMING PORT NAME MAX_BYTES
"""

from __future__ import annotations

__all__ = ("text_of",)

import json
import socket
import sys
import time
import zlib
from typing import Any

from benchmarks.one_connection.client import TIMEOUT, BadResponse, chunks, request

PAGE = 4096
TAGGED = {"stream": "stdout"}


def measure(framing: str, port: int, name: str, max_bytes: int) -> dict[str, Any]:
    """Read the output of a command as fast as it comes."""
    body = bytearray(max_bytes)
    body[::PAGE] = b"\1" * len(range(0, max_bytes, PAGE))  # not while the clock runs
    room = memoryview(body)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        cpu, start = time.process_time(), time.perf_counter()
        connection.sendall(request(f"/{framing}/{name}"))
        size = connection.recv_into(room)
        first = last = time.perf_counter()
        while got := connection.recv_into(room[size:]):
            last = time.perf_counter()
            size += got
        cpu = time.process_time() - cpu
    room.release()
    if size == max_bytes:
        raise BadResponse(f"more than {max_bytes} bytes")
    del body[size:]
    text = text_of(framing, b"".join(chunks(body)))
    return {
        "lines": text.count(b"\n"),
        "checksum": zlib.crc32(text),
        "seconds": last - start,
        "first_byte": first - start,
        "client_cpu": cpu,
    }


def text_of(framing: str, body: bytes) -> bytes:
    """Give the text that was sent; raise on anything unforeseen."""
    if framing == "text":
        return body
    *events, rest = body.split(b"\n\n")
    if rest:
        raise BadResponse(f"the last event is cut: {rest!r}")
    *lines, exit, end = events
    _check_last(exit, b"event: exit", {"code": 0, "reason": "exit"})
    _check_last(end, b"event: end", {"state": "done", "count": len(lines) + 1})
    undo = _line if framing == "sse" else _tagged_line
    return b"".join([undo(event) for event in lines])


def _line(event: bytes) -> bytes:
    if not event.startswith(b"data: ") or b"\n" in event:
        raise BadResponse(f"not a line: {event!r}")
    return event[6:] + b"\n"


def _tagged_line(event: bytes) -> bytes:
    data = json.loads(_line(event))
    line: str = data.pop("text")
    if data != TAGGED:
        raise BadResponse(f"not a line of stdout: {event!r}")
    return f"{line}\n".encode()


def _check_last(event: bytes, kind: bytes, due: dict[str, object]) -> None:
    type, data = event.split(b"\n")[:2]
    if type != kind or not due.items() <= json.loads(data.removeprefix(b"data: ")).items():
        raise BadResponse(f"not {kind!r} with {due}: {event!r}")


def main() -> None:
    framing, port, name, max_bytes = sys.argv[1:]
    json.dump(measure(framing, int(port), name, int(max_bytes)), sys.stdout)


if __name__ == "__main__":
    main()
