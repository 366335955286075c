"""The processes of a benchmark: servers and clients, started here and ended here."""

from __future__ import annotations

__all__ = ("ROOT", "Server", "cpu_seconds", "finish", "resident_bytes", "start")

import json
import subprocess
import time
from pathlib import Path
from sys import executable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from benchmarks.variants import Variant

ROOT = Path(__file__).parents[1]
CLIENT_TIMEOUT = 120.0  # seconds; the longest, a trickle of 300 samples, takes 32


class Server:
    """A running variant; leaving the block ends exactly this process."""

    def __init__(self, variant: Variant, package: str, *directory: str) -> None:
        self.variant = variant
        self._arguments = (package, variant.name, *directory)

    def __enter__(self) -> Self:
        # Its stdin is held open: the end of it tells the server that we are gone.
        self.process = start("benchmarks.server", *self._arguments)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def wait_until_ready(self) -> None:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"{self.variant.name}: the server did not start, see above")
        self.port = int(line)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)


def start(module: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a module of ours in a process of its own, its standard input and output piped."""
    return subprocess.Popen(
        [executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(client: subprocess.Popen[str], name: str) -> dict[str, Any]:
    """Wait for the end of a client, and return the object that it printed."""
    with client:
        try:
            output, _ = client.communicate(timeout=CLIENT_TIMEOUT)
        except BaseException:
            client.kill()
            raise
    if client.returncode:
        raise SystemExit(f"{name}: the client refused what came, see above")
    found: dict[str, Any] = json.loads(output)
    return found


def cpu_seconds(pid: int) -> float:
    """Read what the threads of a process have used so far."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3), which Python lacks


def resident_bytes(pid: int) -> int:
    """Read how much of its memory is in use."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"no memory of process {pid}: it has ended")
