"""Landing in a bucket of a real S3-compatible server: whole or not at all, for one writer.

Oracles: staging is held against production itself, and the bucket is listed past our own code.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import fsspec
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import (
    AlreadyRunning,
    LandingError,
    LandingUnreachable,
    ReplicaError,
    SettingsInvalid,
)
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.layout import Store, manifest_path
from analytics_replica.landing.manifest import manifests
from analytics_replica.serving.erasure.request import Request
from analytics_replica.serving.erasure.verify import verify_erasure
from analytics_replica.settings.load import load_settings
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.fold import fold
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.support.buckets import (
    KEY_ID,
    SECRET,
    Buckets,
    Careless,
    running_buckets,
)
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.killed import At, killed_at, wait_until_free
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

pytestmark = pytest.mark.slow

CREATE = """
create schema shop;
create table shop.people (id int primary key, email text, notes text);
create table shop.log (at int, line text);
alter table shop.log replica identity full;
insert into shop.people
    select n, n || '@example.org', repeat('x', 20) from generate_series(1, 500) n;
insert into shop.log select n, 'line ' || n from generate_series(1, 100) n
"""
TABLES = {
    "shop.people": {
        "id": "keep",
        "email": {"mask": "token", "domain": "email", "normalise": "email"},
        "notes": "keep",
    },
    "shop.log": {"at": "keep", "line": "keep"},
}


@pytest.fixture(scope="module")
def buckets() -> Iterator[Buckets]:
    with running_buckets() as running:
        yield running


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where s3fs looks by itself."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def made(buckets: Buckets, production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """A pipeline whose first copy is in a bucket."""
    production.execute(CREATE)
    made = pipeline(TABLES, **buckets.changes(buckets.bucket()))
    made.prepare()
    made.capture()
    return made


def test_what_is_captured_applied_folded_and_rebuilt_is_production(
    made: Pipeline, buckets: Buckets
) -> None:
    apply(made)
    for change in (
        "update shop.people set notes = 'y' where id % 7 = 0; delete from shop.people where id = 1",
        "truncate shop.log; insert into shop.log values (1, 'a'), (1, 'a')",
    ):
        made.production.execute(change)
        made.capture()
        apply(made)
        assert differences(made.production, made.warehouse, made.settings) == {}
    verify = Request(TableName("shop", "people"), {"id": "1"}, [("email", "1@example.org")])
    before = verify_erasure(made.settings, SystemClock(), verify, by="test")
    assert landing_of(before.body)["outcome"] == "FAIL"
    fold(made.settings, SystemClock(), before=datetime.now(UTC) + timedelta(hours=1))
    after = verify_erasure(made.settings, SystemClock(), verify, by="test")
    assert landing_of(after.body)["outcome"] == "PASS"
    rebuild(made.settings, SystemClock())
    assert differences(made.production, made.warehouse, made.settings) == {}
    assert check_contiguity(made.store, files=True).passed
    named = {f.path for m in manifests(made.store) for f in m.files}
    assert {path.split("/masked/")[1] for path in objects(made, buckets, "data")} == named


@pytest.mark.parametrize("point", ["file written", "rename", "manifest", "confirm"])
def test_a_kill_between_uploads_and_manifest_loses_nothing_and_lands_nothing_twice(
    made: Pipeline, point: str
) -> None:
    made.production.execute("insert into shop.log select 7, 'seven' from generate_series(1, 30)")
    killed_at(point, lambda reached: made.capture(reached=reached))
    wait_until_free(made)
    made.production.execute("delete from shop.people where id = 2")
    made.capture()
    apply(made)
    assert differences(made.production, made.warehouse, made.settings) == {}
    assert check_contiguity(made.store).passed
    assert not list((made.store.home / "unfinished").iterdir())


def test_a_store_that_goes_away_is_named_confirms_nothing_and_the_next_run_heals(
    made: Pipeline, buckets: Buckets
) -> None:
    made.production.execute("insert into shop.log select 7, 'seven' from generate_series(1, 30)")
    confirmed = state(made)
    try:
        with pytest.raises(LandingUnreachable) as refused:
            made.capture(reached=At("file written", buckets.gate.close))
        with pytest.raises(LandingUnreachable):
            apply(made)
    finally:
        buckets.gate.open()
    said = f"{refused.value} {refused.value.__cause__} {refused.value.__context__}"
    assert "does not answer" in said
    assert not [
        word for word in (KEY_ID, SECRET, "127.0.0.1", "http") if word in str(refused.value)
    ]
    assert state(made) == confirmed
    wait_until_free(made)
    with made.store.one_writer(), pytest.raises(AlreadyRunning):
        made.capture()  # a second one on this machine
    made.capture()
    apply(made)
    assert differences(made.production, made.warehouse, made.settings) == {}


def test_of_two_writers_one_fails_cleanly_and_nothing_is_mixed(
    buckets: Buckets, tmp_path: Path
) -> None:
    store = Store(f"s3://{buckets.bucket()}/two", buckets.options)
    fork = multiprocessing.get_context("fork")
    for sequence in range(1, 6):
        barrier = fork.Barrier(2)
        writers: list[BaseProcess] = [
            fork.Process(target=write, args=(store, sequence, who, barrier, tmp_path / who))
            for who in ("a", "b")
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(120)
        assert sorted(w.exitcode or 0 for w in writers) == [0, LandingError.exit_code]
        path, content = store.read(manifest_path(sequence)).decode().split()
        assert store.read(path).decode() == content * 1000


def test_a_file_of_many_parts_is_whole_and_is_never_replaced(
    buckets: Buckets, tmp_path: Path
) -> None:
    store = Store(f"s3://{buckets.bucket()}/parts", buckets.options)
    big = os.urandom(20 * 2**20)
    for number, content in enumerate((big, big[::-1])):
        (written := tmp_path / str(number)).write_bytes(content)
        if number == 0:
            store.publish(written, "big", exclusive=True)
        else:
            with pytest.raises(LandingError, match="already there"):
                store.publish(written, "big", exclusive=True)
    assert store.read("big") == big


def test_an_answer_that_was_lost_is_no_second_writer(buckets: Buckets, tmp_path: Path) -> None:
    store = Store(f"s3://{buckets.bucket()}/again", buckets.options)
    for _ in range(2):  # the second is the driver's own retry: the same bytes at the same place
        (written := tmp_path / "written").write_bytes(b"one manifest")
        store.publish(written, "m", exclusive=True)
        assert not written.exists()


def test_a_missing_bucket_is_not_an_empty_landing(
    buckets: Buckets, production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(CREATE)
    made = pipeline(TABLES, **buckets.changes("never-made"))
    made.prepare()
    for what in (made.capture, lambda: made.store.names("manifests"), lambda: apply(made)):
        with pytest.raises(LandingError, match="bucket is not there"):
            what()


def test_missing_credentials_are_named_as_such(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = Store(f"s3://{buckets.bucket()}/x", {**buckets.options, "skip_instance_cache": True})
    with pytest.raises(LandingError, match="refused our credentials"):
        store.read("x")


def test_a_store_that_ignores_conditions_is_refused() -> None:
    fsspec.register_implementation("careless", Careless, clobber=True)
    with pytest.raises(LandingError, match="If-None-Match"), Store("careless://x/y").one_writer():
        pass


@pytest.mark.parametrize(
    ("landing", "says"),
    [
        ({"url": "s3://a:b@bucket/x"}, "holds credentials"),
        ({"url": "s3://b", "options": {"secret": "x"}}, "is a secret"),
        (
            {"url": "s3://b", "options": {"client_kwargs": {"a_token": "x"}}},
            "is a secret",
        ),
        ({"url": "here", "options": {"endpoint_url": "x"}}, "belong to a URL"),
    ],
)
def test_no_secret_stands_in_replica_yaml(
    pipeline: Callable[..., Pipeline], landing: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsInvalid, match=says):
        _ = pipeline(TABLES, landing=landing).settings


def test_secrets_come_from_the_environment_and_are_shown_nowhere(
    pipeline: Callable[..., Pipeline], buckets: Buckets
) -> None:
    secrets = {"key": {"env": "S3_KEY"}, "secret": {"env": "S3_SECRET"}}
    url = f"s3://{buckets.bucket()}/x"
    made = pipeline(TABLES, landing={"url": url, "options": buckets.options, "secrets": secrets})
    with pytest.raises(SettingsInvalid, match="S3_KEY is not set"):
        _ = made.store
    environ = {**made.settings.secrets.environ, "S3_KEY": KEY_ID, "S3_SECRET": SECRET}
    settings = load_settings(made.settings.file, environ)
    store = Store.of(settings)
    assert store.names("manifests") == []
    assert SECRET not in f"{store!r} {settings!r}"


def apply(made: Pipeline) -> None:
    """Applies what is pending."""
    assert apply_pending(made.settings, SystemClock()).quarantined == {}


def state(made: Pipeline) -> object:
    """How far production may forget its log."""
    return made.production.scalar(
        "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = %s",
        (made.slot,),
    )


def objects(made: Pipeline, buckets: Buckets, folder: str) -> list[str]:
    """What the bucket really holds below this folder of landing."""
    found: list[str] = buckets.files.find(made.store.full(folder))
    return found


def landing_of(body: Any) -> Any:
    """What a receipt says of landing."""
    return next(store for store in body["stores"] if store["store"] == "landing")


def write(store: Store, sequence: int, who: str, barrier: Barrier, scratch: Path) -> None:
    """Lands one file and its manifest when the other writer does, too."""
    try:
        path = store.data_path(TableName("shop", "people"), sequence, 1)
        scratch.write_text(who * 1000)
        store.publish(scratch, path)
        scratch.write_text(f"{path} {who}")
        barrier.wait()
        store.publish(scratch, manifest_path(sequence), exclusive=True)
    except ReplicaError as error:
        os._exit(error.exit_code)
    os._exit(0)
