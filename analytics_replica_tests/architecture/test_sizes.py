"""The house numbers: files and functions that fit on a screen or few.

Not here: the length of a line (ruff).
"""

from __future__ import annotations

from statistics import median

from analytics_replica_tests.architecture.repository import OURS, Function, modules

MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40
MEDIAN_LINES_OF_A_FUNCTION = 10


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {module.path: len(module.text.splitlines()) for module in modules(*OURS)}
    assert {p: n for p, n in lengths.items() if n > MOST_LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    lengths = {
        f"{module.at(function)} {function.name}": _lines(function)
        for module in modules(*OURS)
        for function in module.functions()
    }
    assert {f: n for f, n in lengths.items() if n > MOST_LINES_OF_A_FUNCTION} == {}


def test_half_of_the_products_functions_have_at_most_10_lines() -> None:
    lengths = [_lines(f) for module in modules("analytics_replica") for f in module.functions()]
    assert median(lengths) <= MEDIAN_LINES_OF_A_FUNCTION


def _lines(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1
