"""The process's environment for programs that take nothing else.

Here: putting values into it, and taking secrets out, for the time of one call. Not here: reading
settings from it (settings.load). dagster-dbt copies this process's environment for dbt and reads
dbt's profile with it, and dagster.yaml names variables; neither can be given values in another way.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping


@contextlib.contextmanager
def environment(values: Mapping[str, str], without: Collection[str] = ()) -> Iterator[None]:
    """Puts the values into this process's environment for the block; what was there comes back.

    Of `without` nothing is there meanwhile, neither for this process nor for those it starts.
    """
    before = {key: os.environ.get(key) for key in (*values, *without)}
    for key in without:
        os.environ.pop(key, None)
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
