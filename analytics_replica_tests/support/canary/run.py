"""The canary's way: planted values through every path of the product, failing ones too.

Here: the commands in their order, and how they are made to fail. Not here: where they run and what
they printed (house.py), what happens in production (deeds.py), what is asked (test_canary.py).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from analytics_replica.landing import stream
from analytics_replica.masking import seal
from analytics_replica.postgres import types
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.canary.house import Canary
from analytics_replica_tests.support.canary.plant import Canaries
from analytics_replica_tests.support.canary.world import SCHEMA, write_project
from analytics_replica_tests.support.pipeline import open_directory, streams_large_transactions
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

SMALL = 20_000
"""Bytes of an open transaction above which it waits on disk."""

POINTS = ("spill", "seal", "stream commit", "file written", "rename", "manifest")
"""Where a capture is killed: temporary files and sealed rows are there, in memory or on disk."""

QUOTES_VALUES = """
from analytics_replica.cli.main import main
from analytics_replica.masking import seal
from analytics_replica.orchestration.assets import raw

raw.RETRIES = None  # or Dagster would wait for two minutes

def fails(self, texts):
    quoted = [text.drop_null().to_pylist()[:20] for text in texts]
    raise RuntimeError(f"could not convert {quoted}")

seal.TableSeal.apply = fails
main()
"""
"""The command with a library in it that fails, and quotes the values that it fails on."""

BUILDS_GOLD = """
import os, sys
from pathlib import Path
from analytics_replica.definitions import build_definitions
from analytics_replica.domain.clock import SystemClock
from analytics_replica.orchestration.instance import open_instance
from analytics_replica.settings.load import load_settings

settings = load_settings(Path(sys.argv[2]), os.environ)
graph = build_definitions(settings, SystemClock())
gold = [key for key in graph.resolve_all_asset_keys() if key.path[0] == "gold"]
with open_instance(settings) as instance:
    job = graph.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(asset_selection=gold, instance=instance, raise_on_error=False)
sys.exit(0 if done.success else 1)
"""
"""Gold alone, as a person materializes it in the UI, whatever the checks of staging say."""


@contextmanager
def canary() -> Iterator[Canary]:
    """A world that went every way and was searched; its servers run until the block ends."""
    top = open_directory()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, top, ignore_errors=True)
        source, target = (stack.enter_context(_server()) for _ in range(2))
        world = Canary(
            top,
            stack.enter_context(fresh_database(source, "production")),
            stack.enter_context(fresh_database(target, "warehouse", owner="loader")),
            stack.enter_context(fresh_database(target, "dagster")),
            Canaries(),
        )
        stack.callback(world.deeds.forget_the_prepared)
        for where, name, value in (
            (tempfile, "tempdir", str(world.temporary)),
            (stream, "OPEN_BYTES", SMALL),
            (stream, "BUNCH", 500),
        ):
            stack.enter_context(patch.object(where, name, value))
        _go_every_way(world)
        world.search("everything")
        world.run("night, a library quotes values", "run", code=QUOTES_VALUES)
        world.search("after an unexpected error in Dagster")
        yield world


def _go_every_way(world: Canary) -> None:
    """First copy, stream, failures, spill, crashes, re-copies, nights, UI, in this order."""
    deeds = world.deeds
    world.production.execute(SCHEMA)
    streams_large_transactions(world.production)
    world.pipeline.prepare()
    deeds.fill()
    world.call("capture, first copy", "capture")
    deeds.change()
    deeds.undo()
    deeds.announce()
    _fail(world)
    world.call("capture, stream", "capture")
    deeds.forget_nickname()
    deeds.stream()
    for point in POINTS:
        world.killed_at(point)
    world.call("capture, streamed", "capture", "--json")
    deeds.nest()
    world.call("capture, nested", "capture")
    with patch.object(seal.TableSeal, "apply", _quoting(RuntimeError)):
        world.call("resync, RuntimeError", "resync", "canary.people")
    world.call("resync", "resync", "canary.people", "canary.drafts")
    _nights(world)


def _fail(world: Canary) -> None:
    """Captures that fail while they hold values in memory, each in another way."""
    for error in (RuntimeError, pa.ArrowInvalid, OSError, MemoryError):
        with patch.object(seal.TableSeal, "apply", _quoting(error)):
            world.call(f"capture, {error.__name__}", "capture")
    with patch.object(seal, "mask_column", _quoting(ValueError)):
        world.call("capture, a mask that fails", "capture")
    with patch.object(types, "_convert", _quoting(pa.ArrowInvalid)):
        world.call("capture, a type that cannot be converted", "capture")
    world.refused_by_the_disk("capture, landing full", 4_000)
    unfinished = world.outside / "landing/unfinished"
    shutil.rmtree(unfinished)
    unfinished.touch()
    world.call("capture, landing closed", "capture")
    unfinished.unlink()


def _nights(world: Canary) -> None:
    """Nights and builds with a broken model, failing tests, and a staging that refuses rows."""
    write_project(world.outside / "dbt_project")
    world.run("night", "run")
    world.run("gold, a model and its tests fail", code=BUILDS_GOLD)
    world.warehouse.execute("alter table staging.people add check (tier <> 'gold') not valid")
    world.production.execute("update canary.people set tier = 'gold' where id % 5 = 0")
    world.run("night, staging refuses rows", "run", "--json")
    world.call("doctor", "doctor", "--json")
    world.look()


def _quoting(error: type[Exception]) -> Callable[..., Any]:
    """A function that fails, and quotes what it was given."""

    def fails(*arguments: Any) -> Any:
        raise error(f"could not convert {[_shown(argument) for argument in arguments]}")

    return fails


def _shown(argument: Any) -> str:
    arrays = argument if isinstance(argument, list | tuple) else [argument]
    return str([a.to_pylist() if isinstance(a, pa.Array) else str(a) for a in arrays])


@contextmanager
def _server() -> Iterator[LocalServer]:
    """A server that logs every statement, so that what is sent to it is on its disk."""
    with running_server({"log_statement": "all", "log_min_messages": "info"}) as server:
        admin = Database(server, "postgres")
        admin.execute("create role analytics_replica login replication")
        for role in ("loader", "analyst", "analytics_engineer"):
            admin.execute(f"create role {role} login")
        yield server
