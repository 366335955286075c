"""The sweep: end streams whose producer vanished, and remove those past their time."""

from __future__ import annotations

__all__ = ("end_orphan", "sweep_for_ever")

import logging
from random import uniform

from anyio import sleep

from .._items.stored import last_line
from .._store.contract import Claim, Head, Store
from .._store.cursor import new_token
from .._store.lifecycle import last_event
from .._store.patience import Patience
from .._store.verdict import new_epoch
from ..errors import StoreAway

logger = logging.getLogger("streamkit")

# Enough to write one event. If we vanish in between, the sweep of another process finds it again.
LEASE = 5.0

# How long a pump may take to notice that its store is back.
PATIENCE = 2.0


async def sweep_for_ever(store: Store, pause: float) -> None:
    """Sweep about every `pause` seconds; several processes do it at different times.

    A producer counts as dead only if it is silent although it could write: not while the store was
    away, or the whole machine slept. So streams whose lease has passed are checked a second time, a
    while later.
    """
    patience = Patience("the store cannot be swept")
    while True:
        await sleep(pause * uniform(0.6, 0.8))  # noqa: S311 - jitter is not a secret
        try:
            if lapsed := await store.sweep():
                await sleep(PATIENCE if patience.is_away else pause / 5)
                still = {name for name, _ in await store.sweep()}
                for name, head in lapsed:
                    if name in still:
                        await end_orphan(store, name, head)
            patience.over()
        except StoreAway as error:
            patience.pause(error)
        except Exception:  # an error of the driver must not end the streams of this process
            logger.exception("the store cannot be swept")


async def end_orphan(store: Store, name: str, head: Head) -> None:
    """End a stream whose lease has passed, unless its producer or another process was faster."""
    claim = Claim(name, head.life, new_epoch(head.epoch), new_token(), LEASE, None)
    mine = await store.claim(claim, "lapsed")
    if mine is None or (mine.life, mine.epoch) != (claim.life, claim.epoch):
        return
    line = last_line(last_event("orphaned"))
    after = await store.append(claim, mine.tail, [line], close="orphaned")
    if after is not None and after.state == "orphaned":
        logger.warning("the producer of the stream %s vanished", name)
