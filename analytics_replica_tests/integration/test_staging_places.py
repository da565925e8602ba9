"""Where landing may be, and where comparing landed files leaves its traces: nowhere.

Not here: object stores' own behaviour (fsspec's).
"""

from __future__ import annotations

import stat
import uuid
from pathlib import Path

import pytest

from analytics_replica.errors import LandingFull
from analytics_replica.landing.layout import Store
from analytics_replica.postgres.identifiers import compose
from analytics_replica.staging.workbench import workbench
from analytics_replica_tests.support.drawings import shown
from analytics_replica_tests.support.landed import PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database

MILLION = "from range(1000000) numbers(i)"


@pytest.mark.parametrize("url", ["wild [card]s *?", "it's", "memory://"])
def test_landing_may_be_in_any_directory_and_behind_any_url(
    url: str, tmp_path: Path, warehouse: Database
) -> None:
    place = f"{url}{uuid.uuid4().hex}/landing" if "://" in url else url
    landing = Landing(tmp_path, (PEOPLE,), url=place)
    three_people(landing, warehouse)
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | update | 1 | Rome | ~"})
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people")[0] == ("1", "Rome", "one")


def test_what_does_not_fit_into_memory_spills_to_a_private_place_that_is_removed(
    tmp_path: Path,
) -> None:
    store = Store(str(tmp_path / "landing"))
    with workbench(store, memory_limit_bytes=20 * 2**20, spill_directory=tmp_path) as bench:
        (private,) = tmp_path.iterdir()
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        bench.execute(compose(f"create temp table t as select md5(i::varchar) as x {MILLION}"))
        assert list(private.iterdir()) != []
        assert bench.scalar(compose("select count(*) from t")) == 1_000_000
    assert list(tmp_path.iterdir()) == []


def test_a_spill_that_finds_no_space_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with workbench(Store(str(tmp_path)), memory_limit_bytes=20 * 2**20) as bench:
        bench.execute(compose("set max_temp_directory_size = '1MB'"))
        with pytest.raises(LandingFull, match="used up"):
            bench.execute(compose(f"create temp table t as select md5(i::varchar) as x {MILLION}"))
