"""The log's framing: what is not understood stops capture, and bunches may end anywhere.

Oracle: messages written by hand from PostgreSQL's manual.
"""

from __future__ import annotations

import struct

import pytest

from analytics_replica.errors import StreamInvalid
from analytics_replica.source import pgoutput
from analytics_replica.source.streamed import Committed
from analytics_replica.source.transactions import Collector
from analytics_replica_tests.support.messages import Row, encoded

RELATION = b"R" + struct.pack(">I", 7) + b"public\0t\0d" + struct.pack(">H", 1)
RELATION += b"\1id\0" + struct.pack(">Ii", 23, -1)


def _transaction(number: int, rows: int) -> list[bytes]:
    lsn = 1000 * number
    begin = b"B" + struct.pack(">QqI", lsn, number, number)
    commit = b"C\0" + struct.pack(">QQq", lsn, lsn + 10, number)
    return [begin, *(encoded(Row("I", (f"{lsn + n}",))) for n in range(rows)), commit]


def _collected(collector: Collector) -> list[tuple[int, int]]:
    return [
        (int(mark), int(ordinal))
        for pending in collector.everything()
        for mark, ordinal in zip(pending.marks, pending.ordinals, strict=True)
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_events_are_numbered_alike_however_the_messages_are_bunched(size: int) -> None:
    log = [RELATION, *(m for n in (1, 2, 3) for m in _transaction(n, rows=n))]
    collector, ends = Collector(), []
    for at in range(0, len(log), size):
        for step in collector.take(log[at : at + size]):
            assert isinstance(step, Committed)
            ends.append(step.end_lsn.value)
    assert ends[-1] == 3010
    assert _collected(collector) == [
        (1000, 0),
        *((2000, 0), (2000, 2)),
        *((3000, 0), (3000, 2), (3000, 4)),
    ]
    assert collector.transactions == 3


def test_rows_behind_the_last_commit_are_not_yet_there_when_it_is_said() -> None:
    log = [RELATION, *_transaction(1, rows=1), *_transaction(2, rows=2)[:-1]]
    collector = Collector()
    for _ in collector.take(log):
        assert _collected(collector) == [(1000, 0)]
    assert len(_collected(collector)) == 3
    assert collector.in_transaction


def test_a_change_of_a_relation_that_was_never_described_is_an_error() -> None:
    with pytest.raises(StreamInvalid, match="relation 7"):
        list(Collector().take(_transaction(1, rows=1)))


def test_a_change_outside_of_every_transaction_is_an_error() -> None:
    with pytest.raises(StreamInvalid, match="outside"):
        list(Collector().take([RELATION, encoded(Row("I", ("1",)))]))


@pytest.mark.parametrize("kind", sorted(pgoutput.TWO_PHASE_KINDS))
def test_a_slot_that_sends_prepared_transactions_is_refused(kind: int) -> None:
    with pytest.raises(StreamInvalid, match="two_phase"):
        list(Collector().take([bytes([kind]) + bytes(40)]))


def test_a_message_of_no_known_kind_is_an_error() -> None:
    with pytest.raises(StreamInvalid, match="'z'"):
        list(Collector().take([b"z"]))


@pytest.mark.parametrize("message", [b"O" + bytes(9), b"Y" + bytes(6), b"M" + bytes(14)])
def test_messages_without_effect_on_rows_change_nothing(message: bytes) -> None:
    collector = Collector()
    assert not list(collector.take([RELATION, message]))
    assert not _collected(collector)
