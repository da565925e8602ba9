"""Sinks: where a message leaves the house.

Here: the file of JSON lines, and apprise behind a hard timeout. Not here: which messages wait
(outbox.py). A sink never raises: it says in one sentence why it refused, without the URL, which
holds secrets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from analytics_replica.deadlines.incidents import Message
from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.load import Settings
from analytics_replica.settings.secrets import key_variables

HARD_TIMEOUT_S: Final = 20.0
"""apprise takes about one second to load; a webhook that has not answered by then will not."""

SENDER: Final = "analytics_replica.deadlines.sender"


class Sink(Protocol):
    """Takes messages to people."""

    def send(self, message: Message) -> str | None:
        """None if the message was taken, else why not. Never raises, never takes for ever."""
        ...


@dataclass(frozen=True)
class FileSink:
    """Appends each message to a file as one JSON line; on disk when `send` returns."""

    path: Path

    def send(self, message: Message) -> str | None:
        """Appends the message; refuses if the file cannot be written."""
        line = {
            "at": message.at.isoformat(),
            "level": message.level.name,
            "turn": message.turn.value,
            "subject": message.subject,
            "body": message.body,
            "cause": message.cause,
            "dedupe_key": message.dedupe_key,
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as cause:
            return f"The alerts file cannot be written: {cause.strerror}."
        return None


@dataclass(frozen=True)
class AppriseSink:
    """Sends through apprise in a process of its own, so that one that hangs can be killed."""

    url: Callable[[], str] = field(repr=False)
    timeout_s: float = HARD_TIMEOUT_S
    without: frozenset[str] = frozenset()
    """Variables of our environment that the sender does not get."""

    def send(self, message: Message) -> str | None:
        """Delivers the message; refuses on a bad URL, a refusal of the channel, or the timeout."""
        try:
            url = self.url()
        except SettingsInvalid as cause:
            return cause.what
        body = f"{message.body}\n\n[{message.dedupe_key}]"
        ours = {name: value for name, value in {**os.environ}.items() if name not in self.without}
        wanted = json.dumps({"url": url, "title": message.subject, "body": body})
        try:
            done = subprocess.run(
                [sys.executable, "-m", SENDER],
                input=wanted,
                text=True,
                timeout=self.timeout_s,
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=ours,
            )
        except subprocess.TimeoutExpired:
            return f"The channel did not answer within {self.timeout_s:g} s."
        return None if done.returncode == 0 else REFUSALS.get(done.returncode, REFUSALS[1])


REFUSALS: Final = {
    1: "The channel refused the message.",
    2: "The channel's URL is not one that apprise knows.",
}
"""What the sender's exit codes mean."""


def sinks_of(settings: Settings) -> dict[str, Sink]:
    """The sinks that replica.yaml names: `file`, and one for each channel."""
    alerts = settings.replica.alerts
    sinks: dict[str, Sink] = {}
    if alerts.file is not None:
        sinks["file"] = FileSink(settings.path(alerts.file))
    for name, variable in alerts.channels.items():
        url = partial(settings.secrets.get, variable)
        without = key_variables(settings.replica.masking)
        sinks[f"channel {name}"] = AppriseSink(url, without=without)
    return sinks
