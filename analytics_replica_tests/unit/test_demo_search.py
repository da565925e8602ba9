"""The search for leaks in files: whatever the encoding and the packing, found once; else silent."""

from __future__ import annotations

import gzip
import hashlib
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics_replica.demo.disk import PIECE_BYTES, expanded_pieces
from analytics_replica.demo.leaks import PlantedValues, SearchReport, search
from analytics_replica.demo.planted import Scanner
from analytics_replica.demo.shop.people import Kind, person, spelled_card, spelled_phone
from analytics_replica.domain.verdicts import Outcome

ONE = person(4_711, seed=1)
STRANGER = person(815, seed=1)
PLANTED = PlantedValues.of(
    (ONE.email, ONE.full_name, ONE.phone, ONE.card, ONE.line1, ONE.remark, ONE.parcel)
)
VALUES = {
    Kind.EMAIL: ONE.email,
    Kind.NAME: ONE.full_name,
    Kind.PHONE: spelled_phone(ONE.phone, 1),
    Kind.CARD: spelled_card(ONE.card, 0),
    Kind.ADDRESS: ONE.line1,
    Kind.REMARK: f"hint: {ONE.remark}.",
    Kind.PARCEL: ONE.parcel,
}


def kinds(report: SearchReport) -> dict[Kind, int]:
    return {hit.kind: hit.count for hit in report.hits}


def found_in(folder: Path) -> dict[Kind, int]:
    return kinds(search([folder], [], PLANTED))


@pytest.mark.parametrize("kind", list(VALUES))
@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.upper().encode(),
        lambda text: text.encode("utf-16-le"),
        lambda text: b"x" + text.upper().encode("utf-16-le"),
        lambda text: b"\\x" + text.encode().hex().encode(),
        lambda text: b"0" + text.encode().hex().encode(),
    ],
    ids=["utf-8", "capitals", "utf-16", "utf-16 at an odd place", "bytea", "hex at an odd place"],
)
def test_one_leaked_value_is_found_once_in_every_encoding(
    tmp_path: Path, kind: Kind, encode: object
) -> None:
    assert callable(encode)
    (tmp_path / "noise").write_bytes(b"\0\x07" * 500 + encode(VALUES[kind]) + b"\0\x02" * 500)
    assert found_in(tmp_path) == {kind: 1}


@pytest.mark.parametrize("kind", list(VALUES))
def test_a_value_across_two_pieces_is_found_once_wherever_it_is_cut(kind: Kind) -> None:
    around = b"\t" * 300 + VALUES[kind].encode() + b"\t" * 300
    for cut in range(250, len(around) - 250):
        scanner = Scanner(PLANTED)
        scanner.feed(around[:cut])
        scanner.feed(around[cut:])
        scanner.end()
        assert scanner.found == {kind: 1}, cut


def test_many_small_pieces_find_the_same_as_one() -> None:
    text = ("\n".join(VALUES.values()) * 40).encode()
    whole, crumbs = Scanner(PLANTED), Scanner(PLANTED)
    whole.feed(text)
    for at in range(0, len(text), 7):
        crumbs.feed(text[at : at + 7])
    whole.end()
    crumbs.end()
    assert whole.found == crumbs.found
    assert min(whole.found.values()) == 40


def test_a_big_file_is_searched_to_its_last_byte(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as big:
        big.truncate(3 * PIECE_BYTES)
        big.seek(2 * PIECE_BYTES - 5)
        big.write(ONE.email.encode())
        big.seek(0, 2)
        big.write(ONE.card.encode())
    assert found_in(tmp_path) == {Kind.EMAIL: 1, Kind.CARD: 1}


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_packed_files_are_expanded(tmp_path: Path, packing: str) -> None:
    text = ("nothing to see " * 5_000 + ONE.full_name).encode()
    if packing == "gzip":
        (tmp_path / "log").write_bytes(gzip.compress(text))
    else:
        with pa.output_stream(str(tmp_path / "log"), compression="zstd") as out:
            out.write(text)
    (hit,) = (h for h in search([tmp_path], [], PLANTED).hits if h.where.endswith("(unpacked)"))
    assert (hit.kind, hit.count) == (Kind.NAME, 1)


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


def test_numbers_that_only_contain_a_planted_number_are_not_hits(tmp_path: Path) -> None:
    texts = (
        f"9{ONE.phone}",
        f"{ONE.phone}0",
        f"{ONE.card}1",
        f"3{ONE.card}",
        f"a{ONE.phone}f",
        hashlib.sha256(b"x").hexdigest()[:20] + ONE.phone + "c0ffee",
        f"{ONE.phone[:3]}.{ONE.phone[3:]}",
        ONE.phone[:9],
        ONE.card[-4:],
        str(uuid.UUID(int=int(ONE.phone, 16))),
    )
    (tmp_path / "numbers").write_text("\n".join(texts))
    assert found_in(tmp_path) == {}


def test_people_who_are_not_planted_are_not_reported(tmp_path: Path) -> None:
    texts = (STRANGER.email, STRANGER.phone, STRANGER.card, STRANGER.full_name, "zqv", "xyzqvab")
    (tmp_path / "others").write_text("\n".join(texts))
    assert STRANGER.last != ONE.last
    assert found_in(tmp_path) == {}


def test_a_masked_email_keeps_its_domain_and_is_no_hit(tmp_path: Path) -> None:
    masked = f"{hashlib.md5(b'x').hexdigest()}@{ONE.domain}"  # noqa: S324 - looks like a token
    (tmp_path / "masked").write_text(masked)
    assert found_in(tmp_path) == {}


def test_links_are_followed_but_no_folder_is_read_twice(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text(ONE.email)
    (elsewhere / "loop").symlink_to(elsewhere)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere)
    (root / "nowhere").symlink_to(tmp_path / "gone")
    report = search([root], [], PLANTED)
    assert (report.files, report.found, report.unsearched) == (1, 1, ())


def test_a_search_that_could_not_read_everything_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / "torn.gz").write_bytes(gzip.compress(b"abc" * 10_000)[:-9])
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    report = search([tmp_path, tmp_path / "missing"], [], PLANTED)
    assert sorted(Path(where).name for where in report.unsearched) == [
        "missing",
        "torn.gz (unpacked)",
        "torn.parquet (unpacked)",
    ]
    assert report.verdict().outcome is Outcome.CANNOT_TELL


def test_a_search_for_nothing_does_not_pass(tmp_path: Path) -> None:
    assert search([tmp_path], [], PlantedValues.of(())).verdict().outcome is Outcome.CANNOT_TELL


def test_a_clean_folder_passes_and_says_how_much_was_searched(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1_000))
    (tmp_path / "b").write_text("all masked")
    report = search([tmp_path], [], PLANTED)
    assert (report.files, report.bytes, report.found) == (2, 1_010, 0)
    assert report.verdict().outcome is Outcome.PASS


def test_the_report_never_shows_a_value(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text("\n".join(VALUES.values()))
    report = search([tmp_path], [], PLANTED)
    shown = f"{report} {report.verdict()} {PLANTED!r}".lower()
    assert report.verdict().outcome is Outcome.FAIL
    for value in (ONE.last, ONE.phone, ONE.card, ONE.email, ONE.remark, ONE.parcel):
        assert value.lower() not in shown


def test_values_of_two_samples_can_be_searched_together() -> None:
    both = PlantedValues.of([ONE.email]) | PlantedValues.of([STRANGER.card])
    assert both.emails == {ONE.email}
    assert both.cards == {STRANGER.card}
