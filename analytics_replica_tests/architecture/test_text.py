"""What no tracked file may contain: notes to ourselves, and traces of one machine or one index.

The forbidden words are put together here from parts, so that this file may be examined too.
"""

from __future__ import annotations

import re

from analytics_replica_tests.architecture.repository import relative, text_files

NOTES = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME"]) + r")\b")

INDEXES = re.compile("|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "--index" + "-url "]))

MACHINES = re.compile(r"(?<![\w.~}*-])/(?:" + "|".join(["wo" + "rk", "ro" + "ot"]) + r")/\w")


def test_nothing_is_left_for_later_in_a_note() -> None:
    assert _lines_with(NOTES) == []


def test_no_file_names_the_host_of_a_package_index() -> None:
    assert _lines_with(INDEXES) == []


def test_no_file_names_a_directory_of_the_machine_it_was_written_on() -> None:
    assert _lines_with(MACHINES) == []


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{relative(path)}:{number}: {line.strip()[:80]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
