"""What comes out of the error firewall: class, SQLSTATE and place, nothing of the text.

Not here: PostgreSQL's own errors (integration/test_error_firewall.py), whole processes and runs
(scenarios/test_error_firewall.py).
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

import asyncio
import json
import logging
import pickle
import traceback
import urllib.request
from collections.abc import Callable, Generator

import dagster as dg
import duckdb
import numpy as np
import psycopg2
import pyarrow as pa
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.serdes import serialize_value
from sqlalchemy.exc import IntegrityError

from analytics_replica.errors import LandingFull, ProgramFault, ReplicaError
from analytics_replica.orchestration.failures import error_of, explained
from analytics_replica.postgres.firewall import only_our_errors, rebuilt, sqlstate, trace_of
from analytics_replica.postgres.process import _Records

SECRET = "ann.canary@example.com"
RUN_ID = "6f1e4a52-0000-4000-8000-000000000001"


def _arrow() -> object:
    return pa.array([SECRET]).cast(pa.int64())


def _duckdb() -> object:
    return duckdb.execute(f"select '{SECRET}'::integer").fetchall()


def _json() -> object:
    return json.loads('{"email": ' + SECRET)


def _unicode() -> object:
    return (SECRET.encode() + b"\xff").decode()


def _numpy() -> object:
    return np.array([SECRET]).astype(np.int64)


def _url() -> object:
    return urllib.request.urlopen(f"{SECRET}:/none")  # noqa: S310 - it is no URL


def _file() -> object:
    return open(f"/nonexistent/{SECRET}")  # noqa: PTH123 - its name is the point


def _chained() -> object:
    nothing: dict[str, str] = {}
    try:
        return nothing[SECRET]
    except KeyError as cause:
        raise RuntimeError(SECRET) from cause


def _handled_meanwhile() -> object:
    try:
        return int(SECRET)
    except ValueError:
        raise LandingFull(what="The disk is full.", why="", next="") from None


def _ours_from_anothers() -> object:
    try:
        return int(SECRET)
    except ValueError as cause:
        raise LandingFull(what="The disk is full.", why="", next="") from cause


def _group() -> object:
    raise ExceptionGroup(SECRET, [ValueError(SECRET), asyncio.InvalidStateError(SECRET)])


def _noted() -> object:
    error = ValueError("short")
    error.add_note(SECRET)
    raise error


def _sqlalchemy() -> object:
    raise IntegrityError("insert …", {"email": SECRET}, _Refused(SECRET))


def _bare_driver() -> object:
    raise psycopg2.DataError(SECRET)


class _Refused(Exception):
    pgcode = "23505"


FOREIGN: tuple[Callable[[], object], ...] = (
    _arrow,
    _duckdb,
    _json,
    _unicode,
    _numpy,
    _url,
    _file,
    _chained,
    _handled_meanwhile,
    _ours_from_anothers,
    _group,
    _noted,
    _sqlalchemy,
    _bare_driver,
)


@pytest.mark.parametrize("fails", FOREIGN)
def test_no_text_of_anothers_exception_passes_the_boundary(fails: Callable[[], object]) -> None:
    with pytest.raises(ReplicaError) as passed, only_our_errors():
        fails()
    error = passed.value
    assert (error.__cause__, error.__context__) == (None, None)
    for told in (*_every_text(error), *error.trace):
        assert SECRET not in told


@pytest.mark.parametrize("fails", FOREIGN)
def test_nothing_of_it_is_in_what_dagster_stores_of_a_failed_step(
    fails: Callable[[], object],
) -> None:
    @dg.op
    def step(context: dg.OpExecutionContext) -> None:
        with explained(context):
            fails()

    @dg.job
    def broken() -> None:
        step()

    with dg.DagsterInstance.ephemeral() as instance:
        done = broken.execute_in_process(instance=instance, raise_on_error=False)
        logs = instance.all_logs(done.run_id)
    assert SECRET not in "".join(serialize_value(entry) for entry in logs)
    failed = next(event for event in done.all_events if event.is_step_failure)
    stored = failed.step_failure_data.error
    assert stored is not None
    assert (stored.cause, stored.context) == (None, None)
    assert SECRET not in str(error_of(failed))


def test_a_step_that_is_interrupted_stores_nothing_of_what_was_at_hand() -> None:
    @dg.op
    def step(context: dg.OpExecutionContext) -> None:
        with explained(context):
            try:
                int(SECRET)
            except ValueError:
                raise DagsterExecutionInterruptedError from None

    @dg.job
    def broken() -> None:
        step()

    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(DagsterExecutionInterruptedError) as passed:
            broken.execute_in_process(instance=instance, run_id=RUN_ID)
        logs = instance.all_logs(RUN_ID)
    assert passed.value.__context__ is None
    assert any("STEP_FAILURE" in serialize_value(entry) for entry in logs)
    assert SECRET not in "".join(serialize_value(entry) for entry in logs)


def test_a_fault_names_class_and_every_place_also_of_what_it_was_raised_from() -> None:
    with pytest.raises(ProgramFault) as passed, only_our_errors():
        _chained()
    trace = "\n".join(passed.value.trace)
    assert passed.value.what.startswith("RuntimeError in ")
    assert trace.startswith("RuntimeError\n  ")
    assert "\nKeyError\n" in trace
    assert trace.count("unit/test_error_firewall.py:") >= 3
    assert "_chained" in trace


def test_an_error_of_ours_passes_as_itself() -> None:
    error = LandingFull(what="The disk is full.", why="Nothing is lost.", next="Free space.")
    with pytest.raises(LandingFull) as passed, only_our_errors():
        raise error
    assert passed.value is error
    assert rebuilt(error) is error


def test_the_sqlstate_is_kept_also_when_sqlalchemy_wraps_the_driver() -> None:
    with pytest.raises(IntegrityError) as caught:
        _sqlalchemy()
    assert sqlstate(caught.value) == "23505"
    assert "(SQLSTATE 23505)" in rebuilt(caught.value).what


def test_an_interrupt_stays_one_and_brings_nothing_along() -> None:
    def interrupted() -> None:
        try:
            int(SECRET)
        except ValueError:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt) as passed, only_our_errors():
        interrupted()
    assert passed.value.__context__ is None


def test_a_generator_behind_the_boundary_may_be_closed() -> None:
    def steps() -> Generator[int, None, None]:
        with only_our_errors():
            yield 1
            yield 2

    running = steps()
    assert next(running) == 1
    running.close()


@pytest.mark.parametrize(
    "log",
    [
        lambda to: to.exception("it failed"),
        lambda to: to.error("it failed: %s", ValueError(SECRET)),
        lambda to: to.error("it failed: %(why)r", {"why": ValueError(SECRET)}),
        lambda to: to.error(ValueError(SECRET)),
        lambda to: to.warning("it failed", exc_info=ValueError(SECRET)),
    ],
)
def test_an_exception_in_any_librarys_log_is_told_by_class_and_place(
    log: Callable[[logging.Logger], None],
) -> None:
    said: list[str] = []
    to = logging.getLogger("somebody.elses")
    to.handlers = [_Heard(said)]
    known = logging.getLogRecordFactory()
    logging.setLogRecordFactory(_Records(known))
    try:
        _chained()
    except RuntimeError:
        log(to)
    finally:
        logging.setLogRecordFactory(known)
    assert len(said) == 1
    assert SECRET not in said[0]
    assert "Error" in said[0]


def test_telling_where_an_exception_was_leaves_it_as_it_was() -> None:
    with pytest.raises(RuntimeError) as caught:
        _chained()
    trace_of(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


class _Heard(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        # Not every handler formats: some look at the exception themselves.
        assert record.exc_info is None
        self.said.append(self.format(record))


def _every_text(error: BaseException) -> list[str]:
    """Everything that printing, serializing or pickling the error would show."""
    stored = SerializableErrorInfo.from_traceback(
        traceback.TracebackException.from_exception(error)
    )
    return [
        str(error),
        repr(error),
        repr(vars(error)),
        "".join(traceback.format_exception(error)),
        stored.to_string(),
        str(pickle.dumps(vars(error))),
    ]
