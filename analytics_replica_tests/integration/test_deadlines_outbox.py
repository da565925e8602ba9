"""No alert is lost, none is sent twice without saying so, and none waits for what it is about."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from analytics_replica.deadlines import outbox
from analytics_replica.deadlines.alerts import Alerts
from analytics_replica.deadlines.incidents import Level, Message, Trouble, Turn
from analytics_replica.deadlines.sinks import AppriseSink, FileSink
from analytics_replica_tests.support.servers import Database

NOW = datetime(2026, 11, 21, 1, 10, tzinfo=UTC)
MESSAGE = Message("key", Turn.OPENED, Level.LATE, "cause", "LATE: subject", "body", NOW)


def trouble(cause: str = "readiness:2026-11-21", level: Level = Level.AT_RISK) -> Trouble:
    return Trouble(cause, "night", level, "staging has not started", "start it")


@dataclass
class Box:
    """A sink of the test: takes messages, refuses, or dies after taking one."""

    refuses: bool = False
    dies: bool = False
    got: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> str | None:
        if self.refuses:
            return "it is down"
        self.got.append(message)
        if self.dies:
            raise KeyboardInterrupt
        return None


def test_an_incident_is_told_once_while_it_lasts_and_once_when_it_ends(
    warehouse: Database,
) -> None:
    box = Box()
    alerts = Alerts(warehouse.dsn("loader"), {"box": box})
    for minute in range(5):
        alerts.tell([trouble()], [], NOW + timedelta(minutes=minute))
    alerts.tell([], ["night"], NOW + timedelta(hours=1))
    alerts.tell([], ["night"], NOW + timedelta(hours=2))
    assert [m.subject for m in box.got] == [
        "AT_RISK: staging has not started",
        "RESOLVED: staging has not started",
    ]
    assert outbox.open_incidents(warehouse.dsn("loader")) == []


def test_a_sink_that_is_down_gets_everything_in_order_when_it_is_back(
    warehouse: Database,
) -> None:
    down, up = Box(refuses=True), Box()
    alerts = Alerts(warehouse.dsn("loader"), {"down": down, "up": up})
    first = alerts.tell([trouble()], [], NOW)
    alerts.tell([trouble(level=Level.LATE)], [], NOW + timedelta(minutes=30))
    assert first.refused == {"down": "it is down"}
    waiting = outbox.undelivered(warehouse.dsn("loader"))
    assert [(w.sink, w.attempts, w.last_error) for w in waiting] == [
        ("down", 2, "it is down"),
        ("down", 0, None),
    ]
    down.refuses = False
    alerts.tell([], [], NOW + timedelta(hours=1))
    assert [m.level for m in down.got] == [Level.AT_RISK, Level.LATE]
    assert len(up.got) == 2
    assert outbox.undelivered(warehouse.dsn("loader")) == []


def test_a_process_that_dies_after_sending_repeats_the_message_with_the_same_key(
    warehouse: Database,
) -> None:
    box = Box(dies=True)
    alerts = Alerts(warehouse.dsn("loader"), {"box": box})
    with pytest.raises(KeyboardInterrupt):
        alerts.tell([trouble()], [], NOW)
    box.dies = False
    alerts.tell([trouble()], [], NOW)
    assert [m.dedupe_key for m in box.got] == [box.got[0].dedupe_key] * 2


def test_two_sensors_at_once_open_one_incident(warehouse: Database) -> None:
    dsn = warehouse.dsn("loader")
    tellers = [
        threading.Thread(target=outbox.record, args=(dsn, [trouble()], [], ["box"], NOW))
        for _ in range(6)
    ]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    assert len(outbox.open_incidents(dsn)) == 1
    assert len(outbox.undelivered(dsn)) == 1


def test_while_the_warehouse_is_down_a_trouble_is_told_directly_and_once(
    warehouse: Database,
) -> None:
    box = Box()
    nowhere = Alerts("postgresql://loader@127.0.0.1:1/nothing", {"box": box})
    first = nowhere.tell([trouble()], [], NOW)
    second = nowhere.tell([trouble()], [], NOW, said=first.direct)
    worse = nowhere.tell([trouble(level=Level.LATE)], [], NOW, said=first.direct)
    assert (first.stored, second.subjects) == (False, ())
    assert worse.subjects == ("LATE: staging has not started",)
    assert [m.level for m in box.got] == [Level.AT_RISK, Level.LATE]


def test_a_loader_without_create_on_the_database_uses_the_schema_that_the_dba_made(
    warehouse: Database,
) -> None:
    warehouse.execute("create schema ops authorization loader")
    warehouse.execute(f"alter database {warehouse.name} owner to postgres")
    Alerts(warehouse.dsn("loader"), {}).tell([trouble()], [], NOW)
    assert warehouse.scalar("select count(*) from ops.incident") == 1


def test_the_alerts_file_has_one_json_line_for_each_message(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "made" / "alerts.jsonl")
    assert sink.send(MESSAGE) is None
    assert sink.send(MESSAGE) is None
    lines = [json.loads(line) for line in sink.path.read_text().splitlines()]
    assert [line["subject"] for line in lines] == ["LATE: subject"] * 2
    assert lines[0]["at"] == "2026-11-21T01:10:00+00:00"


def test_a_file_that_cannot_be_written_refuses_instead_of_raising(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("a file, not a folder")
    refusal = FileSink(tmp_path / "alerts" / "alerts.jsonl").send(MESSAGE)
    assert refusal is not None
    assert refusal.startswith("The alerts file cannot be written:")


def test_apprise_delivers_subject_body_and_key_to_a_real_endpoint() -> None:
    with endpoint() as (port, received):
        assert AppriseSink(lambda: f"json://127.0.0.1:{port}/hook").send(MESSAGE) is None
    assert received[0]["title"] == "LATE: subject"
    assert received[0]["message"] == "body\n\n[key]"


def test_a_channel_that_refuses_or_is_no_channel_is_said_without_its_url() -> None:
    with endpoint(status=500) as (port, _):
        refused = AppriseSink(lambda: f"json://user:secret@127.0.0.1:{port}/hook")
        assert refused.send(MESSAGE) == "The channel refused the message."
        assert "secret" not in repr(refused)
    unknown = AppriseSink(lambda: "nonsense://secret")
    assert unknown.send(MESSAGE) == "The channel's URL is not one that apprise knows."


@pytest.mark.slow
def test_a_channel_that_hangs_is_killed_at_its_timeout() -> None:
    with endpoint(hangs_s=60) as (port, _):
        began = time.monotonic()
        refusal = AppriseSink(lambda: f"json://127.0.0.1:{port}/hook", timeout_s=4.0).send(MESSAGE)
    assert refusal == "The channel did not answer within 4 s."
    assert time.monotonic() - began < 8


@contextmanager
def endpoint(status: int = 200, hangs_s: float = 0) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """A real HTTP server that takes JSON, refuses it, or never answers."""
    received: list[dict[str, str]] = []
    closing = threading.Event()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(json.loads(body))
            closing.wait(hangs_s)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], received
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
