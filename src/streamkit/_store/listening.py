"""`Listening`: the bells of a store, heard once in each process, while somebody wants to."""

from __future__ import annotations

__all__ = ("Listening",)

import logging
from collections.abc import Callable

from anyio import CancelScope, Event, sleep
from anyio.abc import TaskGroup

from ..errors import StoreAway
from .contract import Store
from .patience import Patience

logger = logging.getLogger("streamkit")


class Listening:
    """Hear which streams may have changed, and pass it on to all who asked."""

    linger = 5.0
    """For so many seconds after the last stream went, bells are still heard: the next may come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: list[Callable[[str | None], None]] = []
        self._wanted = Event()
        self._scope: CancelScope | None = None
        self._unused_since = 0.0

    def tell(self, heard: Callable[[str | None], None]) -> None:
        """Call this with the name of each stream that may have changed; None: any may have."""
        self._told.append(heard)

    def want(self) -> None:
        """Begin to listen, if nobody has yet."""
        self._wanted.set()

    def ring(self, name: str | None) -> None:
        """Pass on what was heard, from the store or from somebody of this process."""
        for heard in self._told:
            heard(name)

    def rest(self, now: float, *, used: bool) -> None:
        """Stop listening when there has been nothing to listen for."""
        if used or not self._wanted.is_set():
            self._unused_since = now
        elif now - self._unused_since > self.linger:
            self._wanted = Event()
            if self._scope is not None:
                self._scope.cancel()

    def run_in(self, tasks: TaskGroup) -> None:
        """Listen whenever somebody wants to; nothing is left of an earlier run."""
        self._wanted = Event()  # the old one may belong to another event loop
        tasks.start_soon(self._run)

    async def _run(self) -> None:
        patience = Patience("nothing is heard of the store")
        while True:
            await self._wanted.wait()
            away: StoreAway | None = None
            try:
                with CancelScope() as self._scope:
                    async with self._store.bells() as bells:
                        self.ring(None)
                        async for name in bells:
                            self.ring(name)
                            patience.over()
            except StoreAway as error:
                away = error
            except Exception:  # bells are hints: without them it takes longer
                logger.exception("nothing is heard of the store")
            finally:
                self._scope = None
            if self._wanted.is_set():  # or it is over because nobody wants to hear
                await sleep(patience.pause(away))
