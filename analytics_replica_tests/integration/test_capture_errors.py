"""A capture that fails while it holds raw values, in any way, and what is found of them afterwards.

The command is a process of its own on a real production; the fault is put into it before it
starts, and raises with the very values that production sent.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from analytics_replica.errors import LandingFull, ProgramFault, StreamInvalid
from analytics_replica_tests.support.commands import ROOT
from analytics_replica_tests.support.pipeline import Columns, Pipeline
from analytics_replica_tests.support.searched import files_with
from analytics_replica_tests.support.servers import Database

SECRET = "ann.canary@example.com"
PEOPLE: dict[str, Columns] = {
    "public.people": {"id": "keep", "email": {"mask": "token", "domain": "email"}}
}

BUG = """
from analytics_replica.masking import seal
def broken(self, texts):
    raise ValueError(str(texts))
seal.TableSeal.apply = broken
"""
CHAINED_BUG = """
from analytics_replica.masking import seal
def broken(self, texts):
    try:
        texts[1].cast("int64")
    except Exception as cause:
        raise KeyError(texts[1][0].as_py()) from cause
seal.TableSeal.apply = broken
"""
CONVERSION = """
import pyarrow as pa
from analytics_replica.masking import seal
from analytics_replica.postgres import types
def broken(self, texts):
    types._convert = lambda texts, target: texts.cast(pa.int64())
    column = self.columns[0].column
    types.from_text(column, texts[1])
seal.TableSeal.apply = broken
"""
DISK = """
import errno
from analytics_replica.landing.disk import disk_errors
from analytics_replica.masking import seal
def broken(self, texts):
    with disk_errors("writing a batch"):
        raise OSError(errno.ENOSPC, "No space left", str(texts))
seal.TableSeal.apply = broken
"""
SIGNAL = """
import os, signal, time
from analytics_replica.masking import seal
def broken(self, texts):
    try:
        raise ValueError(str(texts))
    except ValueError:
        os.kill(os.getpid(), signal.{number})
        time.sleep(0.2)
        raise
seal.TableSeal.apply = broken
"""

FAULTS = {
    "a bug": (BUG, ProgramFault.exit_code),
    "a bug with a cause": (CHAINED_BUG, ProgramFault.exit_code),
    "a conversion": (CONVERSION, StreamInvalid.exit_code),
    "a full disk": (DISK, LandingFull.exit_code),
    "ctrl-c": (SIGNAL.format(number="SIGINT"), 130),
    "a termination": (SIGNAL.format(number="SIGTERM"), -15),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_capture_that_fails_in_the_stream_leaves_no_value_anywhere(
    production: Database, pipeline: Callable[..., Pipeline], fault: str
) -> None:
    made = _people(production, pipeline)
    made.capture()
    production.execute("insert into people values (2, %s)", (SECRET,))
    _fails_silently(made, fault)


@pytest.mark.parametrize("fault", ["a bug with a cause", "a conversion", "a full disk"])
def test_a_first_copy_that_fails_leaves_no_value_anywhere(
    production: Database, pipeline: Callable[..., Pipeline], fault: str
) -> None:
    made = _people(production, pipeline)
    production.execute("insert into people values (2, %s)", (SECRET,))
    _fails_silently(made, fault)


def _people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute("create table people (id int primary key, email text)")
    made = pipeline(PEOPLE)
    made.prepare()
    return made


def _fails_silently(made: Pipeline, fault: str) -> None:
    code, expected = FAULTS[fault]
    settings = made.settings
    arguments = ["analytics-replica", "--config", str(settings.file), "--debug", "capture"]
    program = f"{code}\nimport sys\nfrom analytics_replica.cli.main import main\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}sys.argv = {arguments!r}\nmain()"],
        env={**os.environ, **settings.secrets.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert files_with(SECRET, made.root) == []
