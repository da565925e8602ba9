"""In a log, progress is a few plain lines; nothing of it is in the result."""

from __future__ import annotations

import contextlib
import io

from analytics_replica.cli.progress import ShownAsLines, shown_progress


def lines_of(*reports: tuple[str, int, int | None]) -> list[str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        show = ShownAsLines()
        for report in reports:
            show(*report)
    assert out.getvalue() == ""
    return err.getvalue().splitlines()


def test_a_step_is_told_when_it_begins_and_when_it_ends_and_not_for_each_row() -> None:
    reports = [("stream", done, 5000) for done in range(5001)]
    assert lines_of(*reports) == ["stream: 0 of 5,000", "stream: 5,000 of 5,000"]


def test_a_step_of_unknown_length_is_told_once() -> None:
    assert lines_of(("base backup", 0, None), ("base backup", 0, None)) == ["base backup …"]


def test_a_long_step_says_how_long_the_rest_will_take() -> None:
    seconds = iter((0.0, 60.0, 120.0, 121.0))
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        show = ShownAsLines(now=lambda: next(seconds))
        for done in (100, 200, 600, 1000):  # 100 were there before: a crash came between
            show("copy, pages", done, 1000)
    assert err.getvalue().splitlines() == [
        "copy, pages: 100 of 1,000",
        "copy, pages: 200 of 1,000, about 8 min left",
        "copy, pages: 600 of 1,000, about 2 min left",
        "copy, pages: 1,000 of 1,000",
    ]


def test_where_nobody_watches_progress_is_lines_and_quiet_is_silent() -> None:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        with shown_progress() as progress:
            progress("copy", 0, 2)
        with shown_progress(quiet=True) as progress:
            progress("never", 0, 2)
    assert err.getvalue() == "copy: 0 of 2\n"
