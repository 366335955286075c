"""`Listening`: one listener per process for the bells of a store, only while it is needed."""

from __future__ import annotations

__all__ = ("Listening",)

import logging
from collections.abc import Callable
from math import inf

from anyio import CancelScope, Event, current_time, sleep
from anyio.abc import TaskGroup

from ..errors import StoreAway
from .contract import Store
from .patience import MAX_PAUSE, Patience

logger = logging.getLogger("streamkit")


class Listening:
    """Listen for streams that may have changed, and call every function that was registered."""

    linger = 5.0
    """How many seconds to keep listening after the last stream went, in case another one comes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: list[Callable[[str | None], None]] = []
        self._wanted = Event()
        self._scope: CancelScope | None = None
        self._unused_since = 0.0

    def tell(self, heard: Callable[[str | None], None]) -> None:
        """Call a function with the name of each stream that may have changed; None means any."""
        self._told.append(heard)

    def want(self) -> None:
        """Start listening, unless it has started already."""
        self._wanted.set()

    def ring(self, name: str | None) -> None:
        """Pass on a name, whether it comes from the store or from this process."""
        for heard in self._told:
            heard(name)

    def rest(self, now: float, *, used: bool) -> None:
        """Stop listening if it has not been used for `linger` seconds."""
        if used or not self._wanted.is_set():
            self._unused_since = now
        elif now - self._unused_since > self.linger:
            self._wanted = Event()
            if self._scope is not None:
                self._scope.cancel()

    def run_in(self, tasks: TaskGroup) -> None:
        """Listen in this task group whenever it is wanted. An earlier run leaves nothing behind."""
        self._wanted = Event()  # the old one may belong to another event loop
        tasks.start_soon(self._run)

    async def _run(self) -> None:
        patience = Patience("nothing is heard of the store")
        while True:
            await self._wanted.wait()
            away: StoreAway | None = None
            heard_since = inf
            try:
                with CancelScope() as self._scope:
                    async with self._store.bells() as bells:
                        heard_since = current_time()
                        self.ring(None)
                        async for name in bells:
                            self.ring(name)
                            patience.over()
            except StoreAway as error:
                away = error
            except Exception:  # bells are hints: without them changes are noticed later
                logger.exception("nothing is heard of the store")
            finally:
                self._scope = None
            if current_time() - heard_since > MAX_PAUSE:
                patience.over()  # the store was back, though no bell rang
            if self._wanted.is_set():  # not set if `rest` ended it
                await sleep(patience.pause(away))
