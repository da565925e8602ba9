"""Whole processes that end badly: nothing of a value in what they print or leave.

The program is real and runs in a process of its own; what fails is put in its way before it starts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analytics_replica_tests.support.commands import ROOT

SECRET = "ann.canary@example.com"

BEGIN = f"""
import gc, logging, os, sys, threading
from analytics_replica.postgres.process import protect_process
SECRET = {SECRET!r}
protect_process()
def work(value):
    local = value
    raise ValueError(value)
"""

UNCAUGHT = "work(SECRET)"
IN_A_THREAD = "t = threading.Thread(target=work, args=(SECRET,)); t.start(); t.join(); sys.exit(3)"
IGNORED = """
class Broken:
    def __del__(self):
        work(SECRET)
Broken()
gc.collect()
sys.exit(3)
"""
LOGGED = """
try:
    work(SECRET)
except ValueError as error:
    logging.getLogger("library").exception("it failed: %s", error)
    logging.getLogger("library").error("arguments do not fit: %d", SECRET)
sys.exit(3)
"""
AT_EXIT = "import atexit; atexit.register(work, SECRET)\nsys.exit(3)"


@pytest.mark.parametrize(
    ("ending", "code"),
    [(UNCAUGHT, 1), (IN_A_THREAD, 3), (IGNORED, 3), (LOGGED, 3), (AT_EXIT, 3)],
)
def test_an_exception_that_nobody_catches_is_told_by_class_and_place(
    ending: str, code: int
) -> None:
    done = _run(BEGIN + ending)
    assert done.returncode == code
    assert SECRET not in done.stdout + done.stderr
    assert "ValueError" in done.stderr
    assert "<string>:" in done.stderr


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_a_fault_of_a_command_ends_with_90_and_its_place(debug: tuple[str, ...]) -> None:
    done = _run(
        f"""
import sys
from analytics_replica.cli import capture, main
def broken(*_, **__):
    email = {SECRET!r}
    try:
        {{}}[email]
    except KeyError as error:
        raise ValueError(f"cannot use {{email}}") from error
capture.Invocation.settings = broken
sys.argv = ["analytics-replica", *{debug!r}, "capture"]
main.main()
"""
    )
    assert done.returncode == 90
    assert SECRET not in done.stdout + done.stderr
    assert "ValueError in analytics_replica/cli/capture.py:" in done.stderr
    assert ("KeyError" in done.stderr) is bool(debug)


def test_a_crash_while_the_error_is_shown_does_not_bring_the_first_one_back() -> None:
    done = _run(
        f"""
import sys
from analytics_replica.cli import capture, main
def broken(*_, **__):
    raise ValueError({SECRET!r})
def mute(*_, **__):
    raise OSError("the terminal is gone")
capture.Invocation.settings = broken
main.show_error = mute
sys.argv = ["analytics-replica", "capture"]
main.main()
"""
    )
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
    assert "Ended by OSError" in done.stderr


def test_ctrl_c_ends_a_command_without_a_word_of_what_was_at_hand() -> None:
    done = _run(
        f"""
import os, signal, sys
from analytics_replica.cli import capture, main
def interrupted(*_, **__):
    try:
        int({SECRET!r})
    except ValueError:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
capture.Invocation.settings = interrupted
sys.argv = ["analytics-replica", "capture"]
main.main()
"""
    )
    assert done.returncode == 130
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says whether a core was written")
def test_a_crash_leaves_no_core_file_and_neither_does_a_child(tmp_path: Path) -> None:
    crash = "os.kill(os.getpid(), signal.SIGABRT)"
    child = f"import os, signal; {crash}"
    protected = f"""
import os, signal, subprocess, sys
from analytics_replica.postgres.process import protect_process
protect_process()
child = subprocess.run([sys.executable, "-c", {child!r}], cwd={str(tmp_path)!r})
assert child.returncode == -signal.SIGABRT
os.chdir({str(tmp_path)!r})
{crash}
"""
    if not _dumps_core(f"import os, signal; os.chdir({str(tmp_path)!r}); {crash}"):
        pytest.skip("this machine writes no core files anyway")
    for left in tmp_path.iterdir():
        left.unlink()
    assert not _dumps_core(protected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the flag")
def test_a_process_is_not_dumpable_so_that_no_program_in_core_pattern_gets_its_memory() -> None:
    ask = "import ctypes, resource, sys; dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"
    told = "print(dumpable, *resource.getrlimit(resource.RLIMIT_CORE), file=sys.stdout)"
    dumpable, soft, hard = map(int, _run(BEGIN + ask + told).stdout.split())
    assert dumpable == 0
    assert (soft, hard) in {(1, 1), (0, 0)}


def _dumps_core(code: str) -> bool:
    """True if the process left a core file, as the system tells its parent."""
    command = ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", sys.executable, "-c", code]
    process = subprocess.Popen(command, env=_environ())
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == -signal.SIGABRT
    return os.WCOREDUMP(status)


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=_environ(), capture_output=True, text=True, check=False
    )


def _environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
