"""The provider: answers whatever it is asked, as fast as it is read. Prints its port.

    python -m benchmarks.models.provider

The first part of the path says of how many chunks. Ends when its parent is gone.
"""

from __future__ import annotations

__all__ = ()

import asyncio
import os
import threading
from functools import lru_cache

from benchmarks.models import wires

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"Connection: close\r\n\r\n"
)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send 50 events in each write, which is one chunk of HTTP too."""
    head = await reader.readuntil(b"\r\n\r\n")
    path = head.split(b" ", 2)[1].decode()
    # What is not read makes the kernel reset the connection when it is closed.
    await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
    writer.write(HEAD)
    for write in _writes(int(path.split("/")[1]), of_gemini=":streamGenerateContent" in path):
        writer.write(b"%x\r\n%b\r\n" % (len(write), write))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


@lru_cache
def _writes(count: int, *, of_gemini: bool) -> list[bytes]:
    return wires.gemini(count) if of_gemini else wires.chat(count)


async def main() -> None:
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _leave_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
