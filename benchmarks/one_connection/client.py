"""The client: one raw socket, nothing but reads while the clock runs, then a check of every byte.

A process of its own, so that it shares no interpreter with what it measures. Prints one object.

    python -m benchmarks.one_connection.client events PORT COUNT WAKE_BYTES
    python -m benchmarks.one_connection.client trickle PORT COUNT BEGIN_NS
"""

from __future__ import annotations

__all__ = ("BadResponse", "chunks", "contents", "measure_events", "measure_trickle", "request")

import json
import re
import socket
import sys
import time
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 30.0  # seconds without a byte
MAX_EVENT = 256  # bytes an event may take, framing included: bounds the memory of a sample

_TRICKLED = re.compile(rb'"n": ?(\d+), ?"sent": ?(\d+)\}\r?\n\r?\n')


class BadResponse(Exception):
    """The server did not send what it had to."""


def measure_events(port: int, count: int, wake_bytes: int) -> dict[str, Any]:
    """Read `count` events as fast as they come; the caller compares `events` and `checksum`.

    After the first bytes the kernel wakes us when `wake_bytes` lie ready, or the end.
    """
    body = bytearray(count * MAX_EVENT + 65536)
    room = memoryview(body)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        cpu, start = time.process_time(), time.perf_counter()
        connection.sendall(request(f"/events/{count}"))
        size = connection.recv_into(room)
        first = last = time.perf_counter()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wake_bytes)
        while got := connection.recv_into(room[size:]):
            last = time.perf_counter()
            size += got
        cpu = time.process_time() - cpu
    room.release()
    del body[size:]
    events, checksum = 0, 0
    for content in contents(body):
        events += 1
        checksum = zlib.crc32(content, checksum)
    return {
        "events": events,
        "checksum": checksum,
        "seconds": last - start,
        "first_byte": first - start,
        "client_cpu": cpu,
    }


def measure_trickle(port: int, count: int, begin_ns: int) -> dict[str, Any]:
    """Ask at `begin_ns`; measure from the server's time stamp to the end of each event."""
    latencies: list[int] = []
    buffer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        time.sleep(max(0, begin_ns - time.perf_counter_ns()) / 1e9)
        connection.sendall(request(f"/trickle/{count}"))
        while chunk := connection.recv(65536):
            now = time.perf_counter_ns()
            buffer += chunk
            while found := _TRICKLED.search(buffer):
                if int(found[1]) != len(latencies):
                    raise BadResponse(f"event {int(found[1])} in place of {len(latencies)}")
                latencies.append(now - int(found[2]))
                buffer = buffer[found.end() :]
    if len(latencies) != count:
        raise BadResponse(f"{len(latencies)} of {count} events")
    return {"latencies_us": [ns / 1000 for ns in latencies]}


def contents(response: bytearray) -> Iterator[bytes]:
    """Yield `data:<JSON without blanks>` of each unnamed event; raise on anything unforeseen."""
    rest = b""
    for chunk in chunks(response):
        *blocks, rest = (rest + chunk.translate(None, b" \r")).split(b"\n\n")
        for block in blocks:
            if block.startswith(b"data:{") and b"\n" not in block:
                yield block
            else:
                _pass_over(block)
    if rest:
        raise BadResponse(f"the last event is cut: {rest!r}")


def _pass_over(block: bytes) -> None:
    """Accept comments, and the terminal event that streamkit adds."""
    lines = [line for line in block.split(b"\n") if not line.startswith(b":")]
    if lines and b"event:end" not in lines:
        raise BadResponse(f"not an event of the source: {block!r}")


def chunks(response: bytearray) -> Iterator[bytearray]:
    """Undo HTTP/1.1 chunked framing, and insist on the last chunk."""
    head, _, _ = response.partition(b"\r\n\r\n")
    if b" 200 " not in head or b"transfer-encoding: chunked" not in head.lower():
        raise BadResponse(f"not a chunked 200: {bytes(head)!r}")
    start = len(head) + 4
    while (end := response.find(b"\r\n", start)) >= 0:
        size = int(response[start:end], 16)
        start = end + 2 + size + 2
        if response[start - 2 : start] != b"\r\n":
            break
        if not size:
            if start != len(response):
                raise BadResponse("bytes after the last chunk")
            return
        yield response[end + 2 : end + 2 + size]
    raise BadResponse(f"ends within a chunk, after {len(response)} bytes")


def request(path: str) -> bytes:
    # With "close", the end of the response is the end of the connection: nothing to look for
    # while the clock runs.
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()


def main() -> None:
    measure = measure_events if sys.argv[1] == "events" else measure_trickle
    port, count, how = map(int, sys.argv[2:])
    json.dump(measure(port, count, how), sys.stdout)


if __name__ == "__main__":
    main()
