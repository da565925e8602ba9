"""The search for leaks unpacks: packed files, Parquet, Arrow, packed values in dumped rows."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from analytics_replica.demo.disk import expanded_pieces
from analytics_replica.demo.leaks import search
from analytics_replica.demo.packed import packed_in
from analytics_replica.demo.planted import Scanner
from analytics_replica.demo.shop.people import Kind
from analytics_replica_tests.unit.test_demo_search import ONE, PLANTED, found_in


def zipped(text: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("first", b"nothing")
        members.writestr("second", text)
    return out.getvalue()


def by_arrow(text: bytes, compression: str) -> bytes:
    out = pa.BufferOutputStream()
    with pa.output_stream(out, compression=compression) as packed:
        packed.write(text)
    return bytes(out.getvalue())


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "zstd": lambda text: by_arrow(text, "zstd"),
    "lz4": lambda text: by_arrow(text, "lz4"),
}


@pytest.mark.parametrize("packing", list(PACKINGS))
def test_packed_files_are_expanded(tmp_path: Path, packing: str) -> None:
    text = ("nothing to see " * 5_000 + ONE.full_name).encode()
    (tmp_path / "log").write_bytes(PACKINGS[packing](text))
    (hit,) = (h for h in search([tmp_path], [], PLANTED).hits if h.where.endswith("(unpacked)"))
    assert (hit.kind, hit.count) == (Kind.NAME, 1)


@pytest.mark.parametrize("ended", [True, False], ids=["whole", "left by a kill"])
def test_arrow_files_are_read_column_by_column(tmp_path: Path, *, ended: bool) -> None:
    """Waiting transactions are kept in such files, and lz4 hides what is in them."""
    values = pa.table({"text": ["nothing at all"] * 5_000 + [ONE.full_name]})
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(str(tmp_path / "x.tmp"), values.schema, options=options) as writer:
        writer.write_table(values)
        left = (tmp_path / "x.tmp").read_bytes()
    if not ended:
        (tmp_path / "x.tmp").write_bytes(left)
    report = search([tmp_path], [], PLANTED)
    assert [(hit.where[-11:], hit.kind) for hit in report.hits][-1:] == [(" (unpacked)", Kind.NAME)]
    assert report.unsearched == ()


@pytest.mark.parametrize("packing", ["zlib", "gzip", "zstd"])
@pytest.mark.parametrize("form", ["bytea", "base64", "url-safe"])
def test_packed_values_in_a_dumped_row_are_expanded(packing: str, form: str) -> None:
    text = f"{{'said': '{ONE.full_name}'}}".encode() * 3
    packed = zlib.compress(text) if packing == "zlib" else PACKINGS[packing](text)
    row = {
        "bytea": b"\\\\x" + packed.hex().encode(),
        "base64": base64.b64encode(packed),
        "url-safe": base64.urlsafe_b64encode(packed),
    }[form]
    assert next(iter(packed_in(b"1\t" + row + b"\teJust a text that looks packed\n"))) == text


def test_parquet_is_read_column_by_column_also_inside_nested_and_binary_ones(
    tmp_path: Path,
) -> None:
    nothing = [None, "x"] * 50
    columns = {
        "text": pa.array([*nothing, ONE.full_name]),
        "dictionary": pa.array([*nothing, ONE.remark]).dictionary_encode(),
        "bytes": pa.array([None] * 100 + [ONE.email.encode()], pa.binary()),
        "list": pa.array([["x"]] * 100 + [["x", ONE.line1]]),
        "struct": pa.array([{"a": {"b": "x"}}] * 100 + [{"a": {"b": ONE.parcel}}]),
        "number": pa.array([1] * 100 + [int(ONE.phone)], pa.int64()),
        "time": pa.array(range(101), pa.timestamp("us")),
        "fixed": pa.array([b"0123456789abcdef"] * 100 + [ONE.card.encode()], pa.binary(16)),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet", compression="zstd")
    scanner = Scanner(PLANTED)
    for piece in expanded_pieces(tmp_path / "x.parquet"):
        scanner.feed(piece)
    scanner.end()
    assert scanner.found == dict.fromkeys(Kind, 1)
    assert set(found_in(tmp_path)) == set(Kind)
