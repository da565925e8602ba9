"""Messages that were read together, in one buffer.

Here: finding all kinds and numbers at once. Not here: what the messages mean (transactions.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics_replica.source import pgoutput
from analytics_replica.source.columnar import Bytes, Ints

IS_ROW: Final = np.isin(np.arange(256), list(pgoutput.ROW_KINDS))
"""By kind: whether a message is an Insert, Update or Delete."""


@dataclass(frozen=True)
class Bunch:
    """Message i is the `sizes[i]` bytes of `data` from `starts[i]`.

    `controls` are the positions of the messages that are not rows, in order.
    """

    data: Bytes
    starts: Ints
    sizes: Ints
    kinds: Bytes
    controls: list[int]

    @classmethod
    def of(cls, payloads: Sequence[bytes]) -> Bunch:
        """The messages joined."""
        sizes = np.fromiter(map(len, payloads), np.int64, len(payloads))
        starts = np.cumsum(sizes) - sizes
        # Four bytes more, so that the last numbers can be read as those before.
        data = np.frombuffer(b"".join((*payloads, bytes(4))), np.uint8)
        kinds = data[starts]
        return cls(data, starts, sizes, kinds, np.flatnonzero(~IS_ROW[kinds]).tolist())

    def last(self, kind: int) -> int | None:
        """Where the last message of this kind is."""
        found = np.flatnonzero(self.kinds == kind)
        return int(found[-1]) if len(found) else None

    def numbers(self, at: Ints) -> Ints:
        """The 32-bit numbers that stand at these places."""
        unaligned = np.ndarray((len(self.data) - 3,), ">u4", self.data.data, strides=(1,))
        return unaligned[at].astype(np.int64)
