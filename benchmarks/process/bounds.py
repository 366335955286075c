"""A client that reads slowly what never ends: how much does the server gather meanwhile?"""

from __future__ import annotations

__all__ = ("growth",)

import socket
import time
from pathlib import Path

from benchmarks.one_connection.client import TIMEOUT, request
from benchmarks.processes import resident_bytes

# Far below what `yes` and the server can do, far above nothing: about 3 MB/s.
CHUNK, PAUSE = 65536, 0.02
CLOSE_TIMEOUT = 10.0  # seconds the server has to end the command, after its client has left


def growth(pid: int, port: int, seconds: float) -> float:
    """Return by how many MB the server's memory grew at its highest, while the client was there."""
    before = highest = resident_bytes(pid)
    received = 0
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        connection.sendall(request("/endless"))
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            received += len(connection.recv(CHUNK))
            highest = max(highest, resident_bytes(pid))
            time.sleep(PAUSE)
    if received < CHUNK * seconds:
        raise SystemExit(f"only {received} bytes of an endless stream came")
    _wait_until_childless(pid)
    return (highest - before) / 1e6


def _wait_until_childless(pid: int) -> None:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    end = time.perf_counter() + CLOSE_TIMEOUT
    while children.read_text():
        if time.perf_counter() > end:
            raise SystemExit("the client has left, but its command is still running")
        time.sleep(0.02)
