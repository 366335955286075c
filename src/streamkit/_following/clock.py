"""`Clock`: one tick a second for everything that waits in this process, instead of many timers."""

from __future__ import annotations

__all__ = ("Clock",)

import logging
from collections.abc import Callable, Iterable

from anyio import current_time, sleep
from anyio.abc import TaskGroup

from .waiting import WaitingRoom

logger = logging.getLogger("streamkit")


class Clock:
    """Look after open responses (keep-alives, stuck clients), and call functions on each tick."""

    tick = 1.0
    """Seconds between two ticks; a short keep-alive makes them more frequent."""

    def __init__(self) -> None:
        self._rooms: list[Callable[[], Iterable[WaitingRoom]]] = []
        self._told: list[Callable[[float], None]] = []

    def look_after(self, rooms: Callable[[], Iterable[WaitingRoom]]) -> None:
        """Look after the responses in these rooms from now on."""
        self._rooms.append(rooms)

    def tell(self, look: Callable[[float], None]) -> None:
        """Call a function with the time of each tick."""
        self._told.append(look)

    def run_in(self, tasks: TaskGroup) -> None:
        """Tick in this task group. Tasks that a tick starts run in it too."""
        tasks.start_soon(self._run, tasks)

    async def _run(self, tasks: TaskGroup) -> None:
        pause = self.tick
        while True:
            await sleep(pause)
            pause, now = self.tick, current_time()
            for rooms in self._rooms:
                for room in rooms():
                    pause = min(pause, room.period / 4)
                    try:
                        room.tick(now, tasks.start_soon)
                    except Exception:  # a bug in one response must not end all streams
                        logger.exception("a response could not be looked after")
            for look in self._told:
                look(now)
