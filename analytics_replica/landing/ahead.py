"""Reading ahead: one thread reads the log while another decodes, seals and writes.

Here: handing over what was read, in order, with a bound. Not here: what is done with it
(stream.py). Reading holds the interpreter's lock for about a microsecond a message; decoding,
hashing and writing mostly do not, so the two run side by side.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

READ_AHEAD: Final = 4
"""Bunches that may wait: enough to bridge the writing of a chunk, little enough for memory."""

_LOOK_S: Final = 0.05

T = TypeVar("T")


def read_ahead(
    reads: Iterable[T], consume: Callable[[Iterator[T]], None], after_each: Callable[[], None]
) -> None:
    """Gives every read to `consume`, which runs in a thread of its own, until that returns.

    `after_each` is called in this thread after each read and at the end (only this thread may use
    the connection). An error on either side ends the other: `consume` then sees its iterator end.
    """
    waiting: queue.Queue[T | None] = queue.Queue(READ_AHEAD)
    with ThreadPoolExecutor(1, thread_name_prefix="seal") as pool:
        consuming = pool.submit(consume, iter(waiting.get, None))
        try:
            for read in reads:
                if not _handed_over(waiting, read, consuming):
                    break
                after_each()
        finally:
            _handed_over(waiting, None, consuming)
        consuming.result()
    after_each()


def _handed_over(waiting: queue.Queue[T | None], read: T | None, consuming: Future[None]) -> bool:
    """Waits for room; False if the consumer is done and wants no more."""
    while not consuming.done():
        with contextlib.suppress(queue.Full):
            waiting.put(read, timeout=_LOOK_S)
            return True
    return False
