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


def _xid(message: bytes, xid: int) -> bytes:
    """The message as it is sent within a streamed block."""
    return message[:1] + struct.pack(">I", xid) + message[1:]


def _truncate(xid: int) -> bytes:
    return b"T" + struct.pack(">IIBI", xid, 1, 0, 7)


def test_of_a_streamed_transaction_only_what_was_not_rolled_back_is_committed() -> None:
    """Sub-transaction 12 of 10 was rolled back, 11 was not; a truncate counts as rows do."""
    block = [
        b"S" + struct.pack(">IB", 10, 1),
        _xid(RELATION, 10),
        *(encoded(Row("I", (text,)), xid=xid) for text, xid in (("a", 10), ("b", 11), ("c", 12))),
        _truncate(11),
        _truncate(12),
        b"E",
    ]
    abort = b"A" + struct.pack(">II", 10, 12)
    commit = b"c" + struct.pack(">IBQQq", 10, 0, 5000, 5010, 1)
    collector = Collector()
    steps = list(collector.take([*block, abort, commit]))
    assert [type(step).__name__ for step in steps] == ["StreamCommitted", "Committed"]
    assert _collected(collector) == [(5000, 0), (5000, 2)]


@pytest.mark.parametrize("rolled_back", [11, 12])
def test_a_truncate_that_was_rolled_back_empties_nothing(rolled_back: int) -> None:
    block = [b"S" + struct.pack(">IB", 10, 1), _xid(RELATION, 10), _truncate(11), b"E"]
    abort = b"A" + struct.pack(">II", 10, rolled_back)
    commit = b"c" + struct.pack(">IBQQq", 10, 0, 5000, 5010, 1)
    collector = Collector()
    list(collector.take([*block, abort, commit]))
    truncates = [at for pending in collector.everything() for at in pending.truncates]
    assert truncates == ([] if rolled_back == 11 else [(5000, 0)])


def test_a_streamed_transaction_that_was_rolled_back_leaves_nothing() -> None:
    block = [
        b"S" + struct.pack(">IB", 10, 1),
        _xid(RELATION, 10),
        encoded(Row("I", ("a",)), xid=10),
        b"E",
    ]
    collector = Collector()
    steps = list(collector.take([*block, b"A" + struct.pack(">II", 10, 10)]))
    assert [type(step).__name__ for step in steps] == ["StreamAborted"]
    assert not collector.open
    with pytest.raises(StreamInvalid, match="relation 7"):  # described within it alone
        list(collector.take(_transaction(6, rows=1)))
