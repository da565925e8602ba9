"""Alerts: troubles in, messages out, also when the warehouse that keeps them is down.

Here: the one call that sensors make. Not here: what is trouble (readiness.py and who else finds
it), how incidents are kept (outbox.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from analytics_replica.deadlines import outbox
from analytics_replica.deadlines.incidents import Trouble, opening_message
from analytics_replica.deadlines.sinks import Sink
from analytics_replica.errors import WarehouseError


@dataclass(frozen=True, slots=True)
class Told:
    """What a round came to.

    `subjects` were said now for the first time. `refused` is sink → why. `stored` is False if the
    warehouse could not keep the incidents; then `direct` holds the causes that were said without.
    """

    subjects: tuple[str, ...]
    refused: Mapping[str, str]
    stored: bool = True
    direct: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alerts:
    """Keeps incidents in the warehouse at `dsn` and delivers their messages to `sinks`."""

    dsn: str
    sinks: Mapping[str, Sink]

    def tell(
        self,
        troubles: Sequence[Trouble],
        healed: Sequence[str],
        now: datetime,
        said: Collection[str] = (),
    ) -> Told:
        """Records the troubles, ends the incidents of healed scopes, delivers what waits.

        If the warehouse cannot be used the troubles go straight to the sinks, except those whose
        `cause|level` is in `said`: an alert must not wait for what it is about.
        """
        try:
            messages = outbox.record(self.dsn, troubles, healed, tuple(self.sinks), now)
            delivery = outbox.deliver(self.dsn, self.sinks, now)
        except WarehouseError:
            return self._tell_directly(troubles, now, said)
        return Told(tuple(message.subject for message in messages), delivery.refused)

    def _tell_directly(
        self, troubles: Sequence[Trouble], now: datetime, said: Collection[str]
    ) -> Told:
        new = {spoken(trouble): trouble for trouble in troubles if spoken(trouble) not in said}
        refused: dict[str, str] = {}
        for trouble in new.values():
            message = opening_message(trouble, now)
            for name, sink in self.sinks.items():
                reason = sink.send(message)
                if reason is not None:
                    refused[name] = reason
        subjects = tuple(f"{trouble.level.name}: {trouble.headline}" for trouble in new.values())
        return Told(subjects, refused, stored=False, direct=tuple(new))


def spoken(trouble: Trouble) -> str:
    """What marks a trouble as said at its level."""
    return f"{trouble.cause}|{trouble.level.name}"
