"""What masking costs: `python -m benchmarks.masking`.

Prints tables, then one line of JSON:

- `mask_cpu_share`: of the CPU seconds of a capture with 3 masked of 10 columns (an e-mail address
  and a phone number, both normalised, and a name), the part that the same capture without masks
  does not need. Both read the same backlog in the same run, in turns; median of rounds.
- `tokens_per_second`: tokens of different values, one thread.
- `collisions`: equal ones among the tokens of so many different values (100 million; `--values`).
  Their first 64 bits are compared, which is stricter than the 128 of a token, and is what
  `as: int64` has. Takes 8 bytes of memory for each value, twice while they are sorted.

Here: the measurement. Not here: the backlog and the production (benchmarks.capture).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.progress import track
from rich.table import Table

from analytics_replica.masking.strategies import mask_column
from analytics_replica.settings.rules import Mask
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database
from benchmarks.capture.readers import Reading, read_with_capture
from benchmarks.capture.server import running_production
from benchmarks.capture.workload import COLUMNS, CREATE, make_backlog

KEPT: Final[dict[str, Any]] = dict.fromkeys(COLUMNS, "keep")
MASKED: Final[dict[str, Any]] = {
    **KEPT,
    "email": {"class": "email"},
    "phone": {"class": "phone", "region": "US"},
    "note": {"class": "name"},
}
KEY: Final = bytes(range(32))
PIECE: Final = 1_000_000

console = Console()


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser(description="What masking costs.")
    options.add_argument("--changes", type=int, default=750_000)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--values", type=int, default=100_000_000)
    options.add_argument("--quick", action="store_true", help="a tenth of it, to try it out")
    chosen = options.parse_args()
    tenth = 10 if chosen.quick else 1
    share = measure_share(chosen.changes // tenth, chosen.rounds)
    rate, collisions = measure_tokens(chosen.values // tenth)
    figures = {"mask_cpu_share": share, "tokens_per_second": rate, "collisions": collisions}
    print(json.dumps(figures))


def measure_share(changes: int, rounds: int) -> float:
    """The part of a capture's CPU time that its masks take; the median of the rounds."""
    masked: list[Reading] = []
    kept: list[Reading] = []
    with running_production() as production, _pipelines(production) as (with_masks, without):
        for number in range(rounds):
            make_backlog(production, changes, max(1, changes // 1000))
            turns = [(with_masks, masked), (without, kept)]
            for pipeline, readings in turns if number % 2 == 0 else reversed(turns):
                readings.append(read_with_capture(pipeline, changes))
    shown = Table("capture of", "own CPU s of each round", "changes/s (median)")
    for name, readings in (("10 columns, 3 masked", masked), ("10 columns, all kept", kept)):
        seconds = statistics.median(reading.seconds for reading in readings)
        cpu = " ".join(f"{reading.cpu_s:.2f}" for reading in readings)
        shown.add_row(name, cpu, f"{changes / seconds:,.0f}")
    console.print(shown)
    shares = [1 - k.cpu_s / m.cpu_s for m, k in zip(masked, kept, strict=True)]
    return round(statistics.median(shares), 3)


@contextmanager
def _pipelines(production: Database) -> Iterator[tuple[Pipeline, Pipeline]]:
    production.execute(CREATE)
    roots = [open_directory(), open_directory()]
    try:
        made = [
            Pipeline(root, production, production, {"public.wide": columns})
            for root, columns in zip(roots, (MASKED, KEPT), strict=True)
        ]
        for pipeline in made:
            pipeline.prepare()
            pipeline.capture()
        yield made[0], made[1]
    finally:
        for root in roots:
            shutil.rmtree(root, ignore_errors=True)


def measure_tokens(values: int) -> tuple[int, int]:
    """Tokens per second, and how many of the tokens of so many different values are not unique."""
    short = Mask.model_validate({"mask": "token", "domain": "benchmark", "as": "int64"})
    whole = Mask(mask="token", domain="benchmark")
    mask_column(pa.array(["compiles the loop"]), whole, KEY)
    texts = _different(0, min(PIECE, values))
    began = time.perf_counter()
    mask_column(texts, whole, KEY)
    rate = len(texts) / (time.perf_counter() - began)
    made: npt.NDArray[np.int64] = np.empty(values, np.int64)
    starts = range(0, values, PIECE)
    for start in track(starts, f"{values:,} tokens", console=console):
        end = min(start + PIECE, values)
        made[start:end] = mask_column(_different(start, end), short, KEY).to_numpy()
    made.sort()
    collisions = int(np.count_nonzero(made[1:] == made[:-1]))
    console.print(f"{rate:,.0f} tokens/s; {collisions} of {values:,} equal in their first 64 bits")
    return round(rate), collisions


def _different(start: int, end: int) -> pa.Array:
    numbers = pa.array(np.arange(start, end)).cast(pa.string())
    return pc.binary_join_element_wise("user", numbers, "@example.org", "")


if __name__ == "__main__":
    main()
