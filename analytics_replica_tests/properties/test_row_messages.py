"""Whatever rows the log brings, decoding gives exactly their values, or refuses.

Oracle: an encoder written from PostgreSQL's manual (support/messages.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.errors import StreamInvalid
from analytics_replica.source.columnar import Image, Messages, decode_rows
from analytics_replica_tests.support.messages import UNCHANGED, Row, Value, encoded

COLUMNS = 3
VALUES = st.one_of(st.none(), st.text(max_size=40), st.just(UNCHANGED))
TUPLES = st.tuples(VALUES, VALUES, VALUES)
ROWS = st.one_of(
    st.builds(Row, st.just("I"), TUPLES),
    st.builds(Row, st.just("U"), TUPLES, st.one_of(st.none(), TUPLES), st.sampled_from("KO")),
    st.builds(Row, st.just("D"), st.none(), TUPLES, st.sampled_from("KO")),
)


def _messages(payloads: Sequence[bytes], header: int) -> Messages:
    sizes = np.array([len(p) for p in payloads], np.int64)
    data = np.frombuffer(b"".join(payloads), np.uint8)
    return Messages(data, np.cumsum(sizes) - sizes, sizes, header)


def _shown(image: Image) -> dict[int, tuple[Value, ...]]:
    columns = [
        [UNCHANGED if flag else text for text, flag in zip(texts.to_pylist(), flags, strict=True)]
        for texts, flags in zip(image.texts, image.unchanged, strict=True)
    ]
    return dict(zip(image.rows.tolist(), zip(*columns, strict=True), strict=True))


@given(rows=st.lists(ROWS, min_size=1, max_size=20), streamed=st.booleans())
def test_every_value_of_every_image_comes_back(rows: list[Row], *, streamed: bool) -> None:
    xid, header = (991, 9) if streamed else (None, 5)
    decoded = decode_rows(_messages([encoded(row, xid=xid) for row in rows], header), COLUMNS)
    assert bytes(decoded.kinds).decode() == "".join(row.kind for row in rows)
    updates = {n: r.old for n, r in enumerate(rows) if r.new is not None and r.old is not None}
    assert _shown(decoded.before) == updates
    assert _shown(decoded.last) == {
        n: r.old if r.new is None else r.new for n, r in enumerate(rows)
    }


@given(ROWS, st.data())
def test_a_message_that_was_cut_or_continued_is_refused(row: Row, data: st.DataObject) -> None:
    whole = encoded(row)
    end = data.draw(st.integers(1, len(whole) + 3).filter(lambda n: n != len(whole)))
    damaged = (whole + b"ttt")[:end]
    with pytest.raises(StreamInvalid):
        decode_rows(_messages([damaged], 5), COLUMNS)


@given(ROWS, st.data())
def test_a_changed_byte_never_reads_beyond_its_message(row: Row, data: st.DataObject) -> None:
    whole = bytearray(encoded(row))
    at = data.draw(st.integers(5, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_rows(_messages([bytes(whole)], 5), COLUMNS)
    except StreamInvalid:
        return
    held = sum(text.nbytes for image in (decoded.before, decoded.last) for text in image.texts)
    assert held <= len(whole) + 100  # offsets and flags


def test_a_row_of_another_shape_is_refused() -> None:
    with pytest.raises(StreamInvalid, match="shape"):
        decode_rows(_messages([encoded(Row("I", ("a", "b")))], 5), COLUMNS)
