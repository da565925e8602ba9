"""replica.yaml's own questions: columns without a decision, variables, keys.

Here: what can be said without any server. Not here: whether the file is valid at all
(questions.py asks that first).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from analytics_replica.cli.doctor.answers import Figures, fine, judged, missing
from analytics_replica.domain.verdicts import Finding, Outcome, Verdict
from analytics_replica.errors import SettingsInvalid
from analytics_replica.masking.key_versions import check_value
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import ENVIRONMENT_FILES, Settings, masking_keys
from analytics_replica.settings.schema import FromEnvironment, KeySource

UNDECIDED: Final = re.compile(r"(?<!`)# decide:")
"""What `init` writes beside a column that a person must look at; its own explanation is quoted."""


def configuration(settings: Settings) -> Iterator[Verdict]:
    """The answers, in the order in which a person would deal with them."""
    yield _decisions(settings)
    yield _variables(settings)
    yield judged("the masking keys can be read", lambda: _keys(settings))


def _decisions(settings: Settings) -> Verdict:
    """Undecided columns are safe (they are NULL), so they stop nothing; they are only counted."""
    about = "every column is decided"
    lines = settings.file.read_text(encoding="utf-8").splitlines()
    open_lines = [number for number, line in enumerate(lines, start=1) if UNDECIDED.search(line)]
    tables = Policy.from_settings(settings).tables
    columns = sum(len(of) for of in tables.values())
    if not open_lines:
        return fine(about, tables=len(tables), columns=columns)
    shown = ", ".join(str(number) for number in open_lines[:5])
    more = f" and {len(open_lines) - 5} more" if len(open_lines) > 5 else ""
    note = Finding(
        settings.file.name,
        f"{len(open_lines)} places say `# decide:` (lines {shown}{more}); until somebody does, "
        "these columns are NULL and these tables are left out",
    )
    return Verdict(about, Outcome.PASS, (note,), {"tables": len(tables), "columns": columns})


def _variables(settings: Settings) -> Verdict:
    about = "the environment is complete"
    wanted = sorted(set(_named(settings.replica)))
    absent = [name for name in wanted if not settings.secrets.environ.get(name)]
    if not absent:
        return fine(about, variables=len(wanted))
    return missing(
        about,
        SettingsInvalid,
        [f"{name} is not set, and replica.yaml names it" for name in absent],
        f"Set it in the environment, or in {settings.root / ENVIRONMENT_FILES[0]} "
        "(.env.example says what each is for).",
    )


def _named(part: Any) -> Iterator[str]:
    """Every environment variable that this part of the settings names."""
    if isinstance(part, FromEnvironment | KeySource):
        if part.env is not None:
            yield part.env
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _named(getattr(part, name))
    elif isinstance(part, dict):
        for value in part.values():
            yield from _named(value)


def _keys(settings: Settings) -> Figures:
    keys = masking_keys(settings)
    checks = {f"check {key_id}": check_value(key) for key_id, key in sorted(keys.by_id.items())}
    return {"keys": len(keys.by_id), "active": keys.active, **checks}
