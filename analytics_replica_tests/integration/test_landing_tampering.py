"""Whoever changes what is landed is noticed: the contiguity check and the apply fail, naming it.

Each case tampers with a landing that passes, in one place. Not here: damage by a crash, which
leaves nothing behind (scenarios/test_crash_matrix.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.errors import LandingError
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.layout import manifest_path
from analytics_replica.landing.manifest import digest
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.servers import Database

BATCHES = 5
TAMPERED = 3
"""The batch in the middle that is tampered with."""

Tamper = Callable[[Landing], object]


@pytest.fixture
def landing(tmp_path: Path, warehouse: Database) -> Landing:
    """A copy, which is applied, and four batches of changes, which are not."""
    made = Landing(tmp_path, (PEOPLE, LOG))
    made.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line"})
    made.apply(warehouse)
    for number in range(2, BATCHES + 1):
        lsn = f"0/{number}10"
        made.stream(
            f"0/{number + 1}00",
            {
                PEOPLE: f"lsn | op | id | city | bio\n{lsn} | insert | {number} | city {number} |",
                LOG: f"lsn | op | at | line\n{lsn} | insert | 2026-01-0{number} | on",
            },
        )
    return made


def path_of(landing: Landing, sequence: int, table: int = 0) -> Path:
    body = manifest_of(landing, sequence)
    return Path(landing.store.full(body["files"][table]["path"]))


def manifest_of(landing: Landing, sequence: int) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(landing.store.read(manifest_path(sequence)))
    return body


def write_manifest(landing: Landing, sequence: int, body: dict[str, Any]) -> None:
    data = json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False).encode()
    Path(landing.store.full(manifest_path(sequence))).write_bytes(data)


def chain_again(landing: Landing) -> None:
    """Makes every manifest name the one before as it is now: a forger who knows the digests."""
    for sequence in range(2, BATCHES + 1):
        before = landing.store.read(manifest_path(sequence - 1))
        write_manifest(
            landing, sequence, {**manifest_of(landing, sequence), "previous": digest(before)}
        )


def remove_a_file(landing: Landing) -> None:
    path_of(landing, TAMPERED).unlink()


def flip_one_byte(landing: Landing) -> None:
    file = path_of(landing, TAMPERED)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut_the_end_of_a_file(landing: Landing) -> None:
    file = path_of(landing, TAMPERED)
    file.write_bytes(file.read_bytes()[:-1])


def swap_files_of_two_batches(landing: Landing) -> None:
    _swap(path_of(landing, TAMPERED), path_of(landing, TAMPERED + 1))


def swap_files_of_two_tables(landing: Landing) -> None:
    _swap(path_of(landing, TAMPERED, 0), path_of(landing, TAMPERED, 1))


def _swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    assert first != second
    one.write_bytes(second)
    other.write_bytes(first)


def drop_a_manifest(landing: Landing) -> None:
    landing.store.remove(manifest_path(TAMPERED))


def cut_a_manifest(landing: Landing) -> None:
    file = Path(landing.store.full(manifest_path(TAMPERED)))
    file.write_bytes(file.read_bytes()[:-40])


def change_a_manifest(landing: Landing) -> None:
    """What it says of the log's end; its own batch still looks right."""
    write_manifest(landing, TAMPERED, {**manifest_of(landing, TAMPERED), "transactions": 7})


def take_a_file_out_of_a_manifest(landing: Landing) -> None:
    body = manifest_of(landing, TAMPERED)
    write_manifest(landing, TAMPERED, {**body, "files": body["files"][1:]})


def skip_an_lsn(landing: Landing) -> None:
    """The batch starts later than the one before ended, and every digest fits."""
    body = manifest_of(landing, TAMPERED)
    later = Lsn(Lsn.parse(body["from_lsn"]).value + 8)
    write_manifest(landing, TAMPERED, {**body, "from_lsn": str(later)})
    chain_again(landing)


FILE, BATCH = f"{TAMPERED:010d}-000.parquet", f"{TAMPERED}"
CASES: tuple[tuple[Tamper, str, str], ...] = (
    (remove_a_file, FILE, "missing"),
    (flip_one_byte, FILE, "checksum differs"),
    (cut_the_end_of_a_file, FILE, "checksum differs"),
    (swap_files_of_two_batches, FILE, "checksum differs"),
    (swap_files_of_two_tables, FILE, "checksum differs"),
    (drop_a_manifest, BATCH, "no manifest"),
    (cut_a_manifest, manifest_path(TAMPERED), "damaged"),
    (change_a_manifest, f"batch {TAMPERED + 1}", f"manifest of batch {TAMPERED}"),
    (take_a_file_out_of_a_manifest, f"batch {TAMPERED + 1}", f"manifest of batch {TAMPERED}"),
    (skip_an_lsn, f"batch {TAMPERED}", "8 bytes off"),
)


def _name(case: object) -> str:
    return getattr(case, "__name__", "")


def test_the_untouched_landing_passes_and_is_applied(landing: Landing, warehouse: Database) -> None:
    assert check_contiguity(landing.store, files=True).passed
    assert landing.apply(warehouse).last_batch == BATCHES


@pytest.mark.parametrize(("tamper", "named", "says"), CASES, ids=[_name(c[0]) for c in CASES])
def test_the_contiguity_check_fails_and_names_what_was_tampered_with(
    landing: Landing, tamper: Tamper, named: str, says: str
) -> None:
    tamper(landing)
    verdict = check_contiguity(landing.store, files=True)
    assert verdict.outcome is Outcome.FAIL
    assert named in verdict.summary()
    assert says in verdict.summary()


@pytest.mark.parametrize(("tamper", "named", "says"), CASES, ids=[_name(c[0]) for c in CASES])
def test_the_apply_refuses_what_was_tampered_with_and_staging_stays(
    landing: Landing, warehouse: Database, tamper: Tamper, named: str, says: str
) -> None:
    tamper(landing)
    with pytest.raises(LandingError) as refused:
        landing.apply(warehouse)
    assert named.lower() in refused.value.what.lower()
    assert says in refused.value.what
    assert warehouse.rows("select id, city from staging.people") == [(1, "Oslo")]
    assert warehouse.scalar("select last_batch from ops.ledger") == 1


def test_the_last_manifest_is_missed_by_whoever_knew_it(
    landing: Landing, warehouse: Database
) -> None:
    landing.apply(warehouse)
    landing.store.remove(manifest_path(BATCHES))
    with pytest.raises(LandingError, match=f"staging already contains batch {BATCHES}"):
        landing.apply(warehouse)
    verdict = check_contiguity(landing.store, files=True)
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert f"batch {BATCHES}" in verdict.summary()
