"""Hold idle connections: say when all are there, wait for a line, print what came meanwhile.

python -m benchmarks.fan_out.idle PORT FOLLOWERS
"""

from __future__ import annotations

__all__ = ()

import json
import sys
from contextlib import suppress

from benchmarks.fan_out.followers import connect

BUFFER = 4096


def main() -> None:
    port, count = map(int, sys.argv[1:])
    followers = connect(port, count)
    print("connected", flush=True)
    sys.stdin.readline()
    alive = 0
    for follower in followers:
        with suppress(BlockingIOError):  # nothing came
            alive += b":" in follower.connection.recv(BUFFER)
    json.dump({"kept_alive": alive}, sys.stdout)


if __name__ == "__main__":
    main()
