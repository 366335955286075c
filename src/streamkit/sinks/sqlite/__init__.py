"""`SQLiteStore`: streams in one file, for all processes of one host.

Rules here. One thread writes, and what gathered while it committed is its next transaction, over
all streams: so a busy process pays for one fsync where it would have paid for fifty. Another
thread reads, each time from one snapshot. What Python has to do is done before and after, because
a process that is stopped inside a transaction keeps all others from writing.
"""

from __future__ import annotations

__all__ = ("SQLiteStore",)

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_hex
from time import time
from typing import Literal, Self, TypeVar

from ..._store.bells import Listener, Listeners
from ..._store.contract import Claim, Head, Over, Page, Store
from ..._store.lifecycle import Ended
from ..._store.worker import Worker
from ...errors import StoreAway
from ._file import SQLiteFile
from ._log import Changes, Row, head_of, list_streams, read_page
from ._threads import Poller, Reader, Writer

T = TypeVar("T")


class SQLiteStore:
    """Keep streams in one SQLite file, shared by all processes of one host.

    `async with` opens the file and closes it; `Streams` does that. Without it, the first call
    opens the file, and `aclose()` closes it. There may be one `SQLiteStore` per process and file,
    for any number of event loops, and it must be made or first used after a fork. Leave the file
    on a disk of the host: SQLite's log does not work over a network.

    What is acknowledged survives the end of every process, `kill -9` included. With `synchronous`
    at "full" each commit waits for the disk, so it survives a loss of power as well, as far as the
    disk keeps its word. At "normal" commits are some times faster, and the newest may be lost when
    the power or the operating system fails; the file is consistent even then.

    Other processes notice a change when they next look, every `poll` seconds while they listen.
    `max_page_count` bounds the file, in pages of 4 KiB. `StoreAway` says that the file is locked
    for more than 5 s, that the disk is full or fails, or that the file was replaced or removed
    while it was open: it is not looked at again before it was closed. Put an older copy in its
    place only when no process has it open, without the `-wal` and `-shm` of the other.

    The clock of the store is the wall clock of the host. If it jumps ahead, leases pass early and
    living streams may be orphaned; if it jumps back, they pass late.

    Example:
        streams = Streams(SQLiteStore("streams.db"))
    """

    durable = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["full", "normal"] = "full",
        poll: float = 0.005,
        max_page_count: int | None = None,
    ) -> None:
        """Nothing is opened yet, and no thread is started."""
        file = self._file = SQLiteFile(path, synchronous, max_page_count)
        listeners, ringer = Listeners(), token_hex(8)
        self._listeners, self._users, self._closed = listeners, 0, False
        self._writer: Worker[Changes] = Worker(
            "streamkit-sqlite-writer", lambda: Writer(file, ringer, listeners)
        )
        self._reader: Worker[sqlite3.Connection] = Worker(
            "streamkit-sqlite-reader", lambda: Reader(file)
        )
        self._poller: Worker[None] = Worker(
            "streamkit-sqlite-bells", lambda: Poller(file, ringer, listeners), every=poll
        )

    async def __aenter__(self) -> Self:
        """Open the file, and make its tables if there are none."""
        self._users, self._closed = self._users + 1, False
        try:
            await self._writer.call(lambda _: None)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the file when the last of those who entered leaves."""
        self._users -= 1
        if not self._users:
            await self.aclose()

    async def aclose(self) -> None:
        """Do what was asked for, end the threads and close the file; later calls fail."""
        self._closed = True
        async with AsyncExitStack() as stack:  # each, whatever the one before it raised
            stack.callback(self._file.forget)
            for worker in (self._writer, self._reader, self._poller):
                stack.push_async_callback(worker.aclose)

    async def claim(self, claim: Claim, over: Over) -> Head | None:
        """Become the writer, and return the head as it then is; None when there is no stream."""
        return head_of(await self._change(lambda changes: changes.claim(claim, over)))

    async def append(
        self,
        claim: Claim,
        expected: int,
        events: Sequence[bytes],
        *,
        close: Ended | None = None,
        forget: int = 0,
    ) -> Head | None:
        """Add, close, trim and renew the lease in one atomic step, or do nothing.

        A cancelled call is applied or not, as a whole.
        """
        tail, batch = expected + len(events), b"\n".join(events)

        def append(changes: Changes) -> Row | None:
            return changes.append(
                claim, expected, tail, batch, close=close, forget=min(forget, tail + 1)
            )

        return head_of(await self._change(append))

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        """Return up to `limit` events and the head, from one snapshot; None for no such stream.

        Fewer than there are, when they are large: a page has 1 MiB and a batch at most.
        """
        row, events = await self._look(lambda sql: read_page(sql, name, after, limit))
        head = head_of(row)
        return None if head is None else Page(head, events)

    async def cancel(self, name: str, reason: str) -> Head | None:
        """Note the wish in the head of an open stream, unless there is one; ring its bell."""
        return head_of(await self._change(lambda changes: changes.cancel(name, reason)))

    async def delete(self, name: str) -> None:
        """Remove a stream, and ring its bell."""
        await self._change(lambda changes: changes.remove(name))

    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        """Return streams by name, in the order of code points: those above `after`."""
        where = "name > ? AND name >= ? AND name < ? ORDER BY name LIMIT ?"
        end = prefix + "\U0010ffff"  # above every name that begins so
        return await self._list(where, after, prefix, end, max(0, limit))

    async def sweep(self) -> list[tuple[str, Head]]:
        """Remove what is past its `keep`; return open streams whose lease has passed.

        What is removed is gone at once; its bytes go in slices, with room for others in between.
        """
        while await self._change(Changes.tidy):
            pass
        return await self._list("state = 'open' AND lease <= ?", time())

    @asynccontextmanager
    async def bells(self) -> AsyncIterator[AsyncIterator[str | None]]:
        """Give names that may have changed; None: any may have."""
        self._check_open()
        listener = Listener()
        self._listeners.add(listener)
        try:
            await self._poller.call(lambda _: None)  # what changes from here on is noticed
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self._poller.aclose()

    async def _change(self, work: Callable[[Changes], T]) -> T:
        self._check_open()
        return await self._writer.call(work)

    async def _look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._check_open()
        return await self._reader.call(work)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreAway("it was closed")

    async def _list(self, where: str, *values: object) -> list[tuple[str, Head]]:
        rows = await self._look(lambda sql: list_streams(sql, where, *values))
        return [(row[-1], head) for row in rows if (head := head_of(row))]


_: type[Store] = SQLiteStore
