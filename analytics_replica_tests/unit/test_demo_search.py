"""The search for leaks in files: whatever the encoding and the packing, found once; else silent."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from analytics_replica.demo.disk import PIECE_BYTES
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


def escaped(text: str, escape: str) -> bytes:
    return "".join(f"{escape}{ord(letter):02x}" for letter in text).encode()


def based(before: bytes, text: str) -> bytes:
    return base64.b64encode(before + text.encode())


def based_url_safe(before: bytes, text: str) -> bytes:
    return b"=" + base64.urlsafe_b64encode(before + text.upper().encode() + b"\xff\xfe")


FORMS: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "capitals": lambda text: text.upper().encode(),
    "utf-16": lambda text: text.encode("utf-16-le"),
    "utf-16, big end first": lambda text: text.encode("utf-16-be"),
    "utf-16 at an odd place": lambda text: b"x" + text.upper().encode("utf-16-le"),
    "bytea": lambda text: b"\\x" + text.encode().hex().encode(),
    "hex at an odd place": lambda text: b"0" + text.encode().hex().encode(),
    "hex in capitals": lambda text: text.encode().hex().upper().encode(),
    "hex of capitals": lambda text: text.upper().encode().hex().encode(),
    "hex of capitals in capitals": lambda text: text.upper().encode().hex().upper().encode(),
    "percent": lambda text: quote_plus(text).encode(),
    "percent, spaces too": lambda text: quote(text, safe="").encode(),
    "percent, every letter": lambda text: escaped(text, "%"),
    "percent, in capitals": lambda text: escaped(text.upper(), "%").upper(),
    "json": lambda text: json.dumps({text: text}).encode()[:-2].rpartition(b'"')[2],
    "json, every letter": lambda text: b'"' + escaped(text, "\\u00") + b'"',
    "json in json": lambda text: escaped(text.upper(), "\\\\u00"),
    **{f"base64 after {n} bytes": partial(based, b"~~~"[:n]) for n in range(4)},
    **{f"url-safe base64 after {n} bytes": partial(based_url_safe, b"~?>"[:n]) for n in range(4)},
}


def kinds(report: SearchReport) -> dict[Kind, int]:
    return {hit.kind: hit.count for hit in report.hits}


def found_in(folder: Path) -> dict[Kind, int]:
    return kinds(search([folder], [], PLANTED))


@pytest.mark.parametrize("kind", list(VALUES))
@pytest.mark.parametrize("encode", list(FORMS.values()), ids=list(FORMS))
def test_one_leaked_value_is_found_once_in_every_encoding(
    tmp_path: Path, kind: Kind, encode: Callable[[str], bytes]
) -> None:
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


@pytest.mark.parametrize("group", [":", "-"])
def test_an_address_or_a_uuid_that_holds_a_word_is_a_hit(tmp_path: Path, group: str) -> None:
    """Sixteen bytes in hex with signs between them."""
    digits = b"%s1234567" % ONE.last.lower().encode()
    pairs = digits.hex()
    text = group.join(pairs[i : i + 4] for i in range(0, 32, 4))
    (tmp_path / "log").write_text(f"from {text}, twice {text}")
    assert found_in(tmp_path) == {Kind.NAME: 2}


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
