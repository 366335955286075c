"""`Child`: one child process, from its start until it and all it left behind are gone.

One wait covers all there is to wait for: output, input and the exit are registered with one
selector, whose descriptor is what the event loop watches. No thread, no child watcher.
"""

from __future__ import annotations

__all__ = ("Child", "Reason")

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from math import inf
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from signal import SIGKILL, SIGTERM
from typing import Literal, TypeAlias

from anyio import CancelScope, current_time, wait_readable
from anyio.lowlevel import checkpoint

from ..._feeding.closing import Feeding
from ..._items.lines import Line, LineDecoder
from ._errors import StartFailed
from ._spawn import Settings, has_living_members, own_group, spawn

Reason: TypeAlias = Literal["exit", "timeout", "idle_timeout", "output_limit", "cancelled"]

# Large reads of a large pipe: what a batch costs does not depend on how many lines it has.
READ_BYTES = 1 << 18
PIPE_BYTES = 1 << 20

# How often a group is looked at that has no parent to tell of its end.
POLL = 0.02


class Child:
    """Start a command, `read()` its lines until there are none, then look at how it ended.

    Making one raises `StartFailed` when there is no command to read from.
    """

    # How long a group that got KILL is waited for.
    after_kill = 1.0

    def __init__(self, settings: Settings) -> None:
        self.reason: Reason = "exit"
        self.orphans = False
        self.over = False
        self._settings = settings
        self._popen = spawn(settings)
        try:
            self._group = own_group(self._popen.pid)
            self._selector = DefaultSelector()
        except OSError as error:  # such as no descriptor left: nobody else would end it
            self._popen.kill()
            self._popen.communicate()
            raise StartFailed("the system refused") from error
        self._members: set[str] = set()
        self._pidfd = _pidfd(self._popen.pid)
        self._outputs: dict[int, LineDecoder] = {}
        self._input = memoryview(settings.stdin or b"")
        self._bytes = 0
        self._late: list[Line] = []
        now = current_time()
        self.started = self.ended = self._last_output = now
        self._kill_at = self._drain_at = self._give_up_at = inf
        self._partials_told = True
        self._register()

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal, once it is over; None if it could not be ended."""
        return self._popen.returncode

    async def read(self, feeding: Feeding | None = None) -> Sequence[Line]:
        """Return the next lines, after waiting for some; none when it is over, or its reader left.

        Cancelling a call loses nothing.
        """
        while not self.over:
            # First here, where nothing is taken yet: a reader that never waits can be cancelled.
            await checkpoint()
            # What is there comes before what the time says: a reader may have been slow.
            now = current_time()
            ready = self._selector.select(0)
            batches = [lines for key, _ in ready if (lines := key.data(now))]
            self._keep_time(now)
            if self._late:
                batches.append(self._late)
                self._late = []
            if batches:
                return batches[0] if len(batches) == 1 else list(chain(*batches))
            if not ready and not self._is_finished(now):
                with CancelScope(deadline=self._next_deadline(now)):
                    await wait_readable(self._selector.fileno())
                if feeding is not None and feeding.left:
                    break
        return []

    def stop(self, reason: Reason) -> None:
        """Ask it to end, and see to it that it does: TERM now, KILL after the grace."""
        if self.reason == "exit":
            self.reason = reason
            self._terminate(current_time())

    def close(self) -> None:
        """Let go of it; whatever of it is still there gets KILL."""
        self.over = True
        self._signal(SIGKILL)
        self._popen.poll()
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()
        self._selector.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)

    # What is registered with the selector, and what happens when it is ready.

    def _register(self) -> None:
        tag = self._settings.stderr == "tag"
        for name, pipe in (("stdout", self._popen.stdout), ("stderr", self._popen.stderr)):
            if pipe is not None:
                fd = pipe.fileno()
                os.set_blocking(fd, False)
                with suppress(OSError, AttributeError):  # a larger one is faster, not needed
                    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
                self._outputs[fd] = LineDecoder(
                    stream=name if tag else "", max_line=self._settings.max_line
                )
                self._selector.register(fd, EVENT_READ, partial(self._read_output, fd))
        if self._popen.stdin is not None:
            fd = self._popen.stdin.fileno()
            os.set_blocking(fd, False)
            self._selector.register(fd, EVENT_WRITE, self._write_input)
        if self._pidfd >= 0:
            self._selector.register(self._pidfd, EVENT_READ, self._note_exit)

    def _read_output(self, fd: int, now: float) -> Sequence[Line]:
        decoder = self._outputs[fd]
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            return self._close_output(fd)
        self._last_output, self._partials_told = now, False
        if self._settings.max_bytes is not None:
            left = max(0, self._settings.max_bytes - self._bytes)
            if len(data) > left:
                data = data[:left]
                self.stop("output_limit")
        self._bytes += len(data)
        return decoder.feed(data) if data else []

    def _read_the_rest(self, fd: int, now: float) -> list[Line]:
        # What the command itself wrote is in the pipe, and no more than fits into it: somebody
        # that it left behind may write without end.
        lines: list[Line] = []
        for _ in range(PIPE_BYTES // READ_BYTES + 1):
            lines += self._read_output(fd, now)
            if fd not in self._outputs:
                return lines
        self.orphans = self._popen.returncode is not None
        return lines + self._close_output(fd)

    def _close_output(self, fd: int) -> list[Line]:
        self._selector.unregister(fd)
        return self._outputs.pop(fd).end()

    def _write_input(self, _now: float) -> None:
        pipe = self._popen.stdin
        assert pipe is not None  # noqa: S101 - it is what was registered
        try:
            written = os.write(pipe.fileno(), self._input[:READ_BYTES])
            self._input = self._input[written:]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not want to know
            self._input = self._input[:0]
        if not self._input:
            self._selector.unregister(pipe)
            pipe.close()

    def _note_exit(self, now: float) -> None:
        if self._pidfd >= 0:
            self._selector.unregister(self._pidfd)
        self._popen.wait()  # it has ended: this only fetches how
        self.ended = now
        self._drain_at = now + self._settings.drain

    # Time, and the end.

    def _keep_time(self, now: float) -> None:
        settings = self._settings
        if self._pidfd < 0 and self._popen.returncode is None and self._popen.poll() is not None:
            self._note_exit(now)
        if self._popen.returncode is None and self.reason == "exit":
            if settings.timeout is not None and now >= self.started + settings.timeout:
                self.stop("timeout")
            elif (
                settings.idle_timeout is not None
                and now >= self._last_output + settings.idle_timeout
            ):
                self.stop("idle_timeout")
        if now >= self._kill_at:
            self._kill_at, self._give_up_at = inf, now + self.after_kill
            self._signal(SIGKILL)
        if self._outputs and now >= min(self._drain_at, self._give_up_at):
            for fd in [*self._outputs]:
                self._late += self._read_the_rest(fd, now)
        if not self._partials_told and now >= self._last_output + settings.partial_after:
            self._partials_told = True
            for decoder in self._outputs.values():
                self._late += decoder.pause()

    def _next_deadline(self, now: float) -> float:
        settings = self._settings
        deadlines = [self._kill_at, self._give_up_at]
        if self._popen.returncode is None:
            if self._pidfd < 0:
                deadlines.append(now + POLL)
            if self.reason == "exit":
                deadlines.append(self.started + (settings.timeout or inf))
                deadlines.append(self._last_output + (settings.idle_timeout or inf))
        elif not self._outputs:
            deadlines.append(now + POLL)  # what it left behind is being stopped
        if self._outputs:
            deadlines.append(self._drain_at)
            if not self._partials_told:
                deadlines.append(self._last_output + settings.partial_after)
        return min(deadlines)

    def _is_finished(self, now: float) -> bool:
        if now < self._give_up_at:
            if self._popen.returncode is None or self._outputs:
                return False
            if self._is_living():
                self.orphans = True
                self._terminate(now)
                return False
        if self._popen.returncode is None:
            self.ended = now
        self.close()
        return True

    def _terminate(self, now: float) -> None:
        if self._kill_at == self._give_up_at == inf:
            self._kill_at = now + self._settings.grace
            self._signal(SIGTERM)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if self._group is None:
                self._popen.send_signal(number)
            elif self._popen.returncode is None or self._is_living():
                os.killpg(self._group, number)

    def _is_living(self) -> bool:
        return self._group is not None and has_living_members(self._group, self._members)


def _pidfd(pid: int) -> int:
    """Return a descriptor that tells when a process has ended, or -1: then it is polled.

    Only Linux has it, and old kernels and some sandboxes refuse it there.
    """
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1
