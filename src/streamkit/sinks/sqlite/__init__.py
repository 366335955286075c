"""`SQLiteStore`: streams in one file, for all processes of one host.

Rules here. One thread writes. The calls that arrive during a commit form its next transaction, over
all streams, so a busy process pays for one fsync instead of fifty. Another thread reads, each time
from one snapshot. Python work is done before and after a transaction, because a process that is
stopped inside one keeps all others from writing.
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

    `async with` opens and closes the file; `Streams` does that for you. Otherwise the first call
    opens the file, and `aclose()` closes it. Use one `SQLiteStore` per process and file, for any
    number of event loops, and create or first use it after a fork. Keep the file on a disk of the
    host: SQLite's log does not work over a network.

    Acknowledged events survive the end of any process, even by `kill -9`. With `synchronous="full"`
    each commit waits for the disk, so they also survive a power loss, as far as the disk keeps its
    promises. With "normal", commits are several times faster, but the newest may be lost if the
    power or the operating system fails; the file stays consistent even then.

    Other processes poll for changes every `poll` seconds while they listen. `max_page_count` bounds
    the file, in pages of 4 KiB. `StoreAway` means that the file was locked for more than 5 s, that
    the disk is full or fails, or that the file was replaced or removed while it was open; then the
    file is not used again until the store is closed. Restore an older copy only while no process
    has the file open, and without the old `-wal` and `-shm` files.

    The clock of the store is the wall clock of the host. If it jumps ahead, leases pass early and
    live streams may be orphaned; if it jumps back, leases pass late.

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
        """Open nothing and start no thread yet."""
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
        """Open the file, and create its tables if there are none."""
        self._users, self._closed = self._users + 1, False
        try:
            await self._writer.call(lambda _: None)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the file when the last `async with` block ends."""
        self._users -= 1
        if not self._users:
            await self.aclose()

    async def aclose(self) -> None:
        """Finish the calls that wait, end the threads and close the file. Later calls fail."""
        self._closed = True
        async with AsyncExitStack() as stack:  # close each, even if one of them raises
            stack.callback(self._file.forget)
            for worker in (self._writer, self._reader, self._poller):
                stack.push_async_callback(worker.aclose)

    async def claim(self, claim: Claim, over: Over) -> Head | None:
        """Become the writer. Return the head as it is afterwards, or None if there is no stream."""
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

        A cancelled call is applied as a whole or not at all.
        """
        tail, batch = expected + len(events), b"\n".join(events)

        def append(changes: Changes) -> Row | None:
            return changes.append(
                claim, expected, tail, batch, close=close, forget=min(forget, tail + 1)
            )

        return head_of(await self._change(append))

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        """Return up to `limit` events and the head, from one snapshot; None without a stream.

        Large events make a page shorter: it has at most 1 MiB plus one batch.
        """
        row, events = await self._look(lambda sql: read_page(sql, name, after, limit))
        head = head_of(row)
        return None if head is None else Page(head, events)

    async def cancel(self, name: str, reason: str) -> Head | None:
        """Note a request to cancel in an open stream's head, unless it has one; ring its bell."""
        return head_of(await self._change(lambda changes: changes.cancel(name, reason)))

    async def delete(self, name: str) -> None:
        """Remove a stream, and ring its bell."""
        await self._change(lambda changes: changes.remove(name))

    async def names(
        self, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[tuple[str, Head]]:
        """Return the streams with names above `after`, sorted by code points."""
        where = "name > ? AND name >= ? AND name < ? ORDER BY name LIMIT ?"
        end = prefix + "\U0010ffff"  # above every name with this prefix
        return await self._list(where, after, prefix, end, max(0, limit))

    async def sweep(self) -> list[tuple[str, Head]]:
        """Remove streams that are past their `keep`; return open streams whose lease has passed.

        Removed streams are gone at once. Their bytes are deleted in slices, so that other writers
        can write in between.
        """
        while await self._change(Changes.tidy):
            pass
        return await self._list("state = 'open' AND lease <= ?", time())

    @asynccontextmanager
    async def bells(self) -> AsyncIterator[AsyncIterator[str | None]]:
        """Yield the names of streams that may have changed. None means that any may have."""
        self._check_open()
        listener = Listener()
        self._listeners.add(listener)
        try:
            await self._poller.call(lambda _: None)  # from here on, changes are noticed
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
