"""What our process may say and leave behind when no boundary holds: nothing of a row.

Here: Python's hooks of last resort, the exceptions in log records, core files. Not here: the
boundary itself (postgres.firewall). For processes of our own only: whoever imports us as a library
keeps his hooks.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from analytics_replica.postgres.firewall import described, trace_of

_PR_SET_DUMPABLE: Final = 4
_CORE_BYTES: Final = 1
"""Too little for any core file. Not 0: Linux hands a crash to the program in core_pattern whatever
the limit, except if it is exactly 1 (fs/coredump.c), which it takes for such a program's own."""

_STDERR: Final = 2


def protect_process() -> None:
    """Keeps values of rows out of what this process prints, logs and leaves. May be called again.

    Exceptions that nobody catches, in any thread, and exceptions in log records of any library,
    are told by class and place. Children inherit that they leave no core file; on Linux this
    process leaves none either if core_pattern names a program, and no other process of the same
    account can read its memory.
    """
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    logging.raiseExceptions = False  # else a broken log call prints its message and arguments
    if not isinstance(logging.getLogRecordFactory(), _Records):
        logging.setLogRecordFactory(_Records(logging.getLogRecordFactory()))
    _leave_no_core_file()


@dataclass(frozen=True)
class _Records:
    """Makes log records in which every exception is replaced by what may be said of it."""

    make: Any

    def __call__(self, *positional: Any, **named: Any) -> logging.LogRecord:
        record: logging.LogRecord = self.make(*positional, **named)
        record.msg = _told(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_told(value) for value in record.args)
        elif isinstance(record.args, Mapping):
            record.args = {key: _told(value) for key, value in record.args.items()}
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = "\n".join(trace_of(record.exc_info[1]))
        record.exc_info = None
        return record


def _told(value: Any) -> Any:
    return described(value) if isinstance(value, BaseException) else value


def _uncaught(kind: type[BaseException], cause: BaseException, at: TracebackType | None) -> None:
    del kind, at
    _print(f"Ended by {described(cause)}", cause)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread else "unknown"
        _print(f"Thread {name} ended by {described(args.exc_value)}", args.exc_value)


def _unraisable(unraisable: Any) -> None:
    if unraisable.exc_value is not None:
        _print(f"Ignored: {described(unraisable.exc_value)}", unraisable.exc_value)


def _print(headline: str, cause: BaseException) -> None:
    # Past sys.stderr, which may be gone or closed when the hooks of last resort are called.
    text = "\n".join((headline, *trace_of(cause), ""))
    os.write(_STDERR, text.encode(errors="replace"))


def _leave_no_core_file() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    most = _CORE_BYTES if hard == resource.RLIM_INFINITY else min(_CORE_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
