"""`demo …`: the whole night on real servers, in one folder of this machine.

Here: the commands and what they print. Not here: the servers, the shop, the tour (demo).
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import note, say, say_json, show_pairs
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.progress import Progress
from analytics_replica.errors import DemoError, NotReady
from analytics_replica.postgres.connect import connection

if TYPE_CHECKING:
    from analytics_replica.demo.server import DemoServers
    from analytics_replica.demo.tour import Summary

app = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="A shop, its production, and the whole night, in the folder .demo.",
)

FOLDER: Final = ".demo"

PROGRAMS_HELP: Final = "PostgreSQL's programs, 15 to 18 (`pg_config --bindir`); else the embedded."
PostgresBin = Annotated[Path | None, typer.Option("--postgres-bin", help=PROGRAMS_HELP)]


@app.command("run", epilog=epilog("analytics-replica demo run --scale 0.1", DemoError, NotReady))
def run_command(
    context: typer.Context,
    scale: Annotated[
        float, typer.Option(min=0.001, help="1 is 20,000 customers and 100,000 orders.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 7,
    postgres_bin: PostgresBin = None,
) -> None:
    """Run the tour: servers, shop, first copy, traffic, the night, the search for leaks.

    Run it again, and it goes on where it was.
    """
    from analytics_replica.demo.tour import Tour  # noqa: PLC0415 - Dagster takes 4 s to import

    invocation = Invocation.of(context)
    with shown_progress() as progress:
        summary = Tour(
            root=_root(invocation),
            replica_yaml=invocation.config.absolute(),
            environ=invocation.environ,
            clock=SystemClock(),
            listener=_Teller(progress),
            seed=seed,
            scale=scale,
            postgres_bin=postgres_bin,
        ).run()
    _show(summary, _root(invocation))
    searched = summary.searched.verdict()
    if not searched.passed:
        raise DemoError(
            what=f"The search of everything outside production did not pass: {searched.summary()}.",
            why="Personal values must never be there, and not knowing is not passing.",
            next="Look at the places above, and report it with the version and the seed.",
        )


@app.command("up", epilog=epilog("analytics-replica demo up", DemoError))
def up_command(
    context: typer.Context,
    postgres_bin: PostgresBin = None,
    tcp: Annotated[
        bool, typer.Option("--tcp", help="Listen on free ports of 127.0.0.1, too, from now on.")
    ] = False,
) -> None:
    """Start the demo's servers (made if missing) and write .demo/demo.env; nothing else runs.

    They are reached by unix sockets that only you can open. Tools that need TCP get it by --tcp;
    every account of this machine can then connect, without a password.
    """
    servers = _servers(Invocation.of(context), postgres_bin)
    ports = servers.listen() if tcp else {}
    started = servers.up()
    for name, port in ports.items():
        say(f"{name} listens on 127.0.0.1:{port}.")
    servers.write_environment_file()
    say(f"Started {', '.join(started)}." if started else "All servers were running already.")
    _show_servers(servers)


@app.command("down", epilog=epilog("analytics-replica demo down", DemoError))
def down_command(context: typer.Context) -> None:
    """Stop the demo's servers; their data stay."""
    _servers(Invocation.of(context)).down()
    say("The demo's servers are stopped; `analytics-replica demo up` starts them again.")


@app.command("reset", epilog=epilog("analytics-replica demo reset", DemoError))
def reset_command(context: typer.Context) -> None:
    """Stop the demo's servers and remove the folder with everything in it."""
    invocation = Invocation.of(context)
    _servers(invocation).reset()
    say(f"{_root(invocation)} is gone.")


@app.command("status", epilog=epilog("analytics-replica demo status --json", DemoError))
def status_command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state as JSON.")] = False,
) -> None:
    """Say whether the demo's servers run, and how to connect to each as its DBA."""
    servers = _servers(Invocation.of(context))
    made = servers.folder.is_ours
    running = made and servers.is_up()
    if as_json:
        say_json({"made": made, "running": running, "servers": _dsns(servers) if made else {}})
    elif not made:
        say("There is no demo here yet; `analytics-replica demo run` makes it.")
    else:
        say("The demo's servers run." if running else "The demo's servers do not all run.")
        _show_servers(servers)


@app.command("traffic", epilog=epilog("analytics-replica demo traffic --rate 20", DemoError))
def traffic_command(
    context: typer.Context,
    rate: Annotated[float, typer.Option(min=0.01, help="Transactions per second.")] = 5.0,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="End after so long; else with Ctrl-C.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="What happens; default: the time.")] = None,
) -> None:
    """Let the shop go on: orders, payments, refunds, erasures, at a steady rate."""
    from analytics_replica.demo.traffic import Traffic  # noqa: PLC0415 - only this command's

    servers = _servers(Invocation.of(context))
    _require_shop(servers)
    duration = timedelta(seconds=seconds) if seconds is not None else None
    seed = int(time.time()) if seed is None else seed
    with shown_progress() as progress:
        traffic = Traffic(servers.production_admin_dsn, seed, clock=SystemClock())
        report = traffic.run_for(duration, rate, progress=_counting(progress))
    say(f"{report.committed:,} transactions committed, {report.rolled_back:,} rolled back.")


def _require_shop(servers: DemoServers) -> None:
    from analytics_replica.demo.shop.schema import has_schema  # noqa: PLC0415 - only traffic's

    if not (servers.folder.is_ours and servers.is_up()):
        raise DemoError(
            what="The demo's servers do not run.",
            why="There is no shop in which anything could happen.",
            next="Start them with `analytics-replica demo up`, or all with `demo run`.",
        )
    with connection(servers.production_admin_dsn) as opened:
        if not has_schema(opened):
            raise DemoError(
                what="The demo's production has no shop yet.",
                why="There is nothing in which anything could happen.",
                next="Fill it with `analytics-replica demo run`.",
            )


@dataclass
class _Teller:
    """Tells the tour's steps; satisfies demo.tour.Listener."""

    progress: Progress

    def begins(self, title: str, explains: str) -> None:
        say(f"\n{title}", "bold")
        say(f"  {explains}", "dim")

    def ends(self, outcome: str, seconds: float) -> None:
        say(f"  {outcome}   [{seconds:.1f} s]", "green")


def _counting(progress: Progress) -> Callable[[int], None]:
    def count(done: int) -> None:
        progress("transactions", done, None)

    return count


def _root(invocation: Invocation) -> Path:
    return invocation.config.absolute().parent / FOLDER


def _servers(invocation: Invocation, postgres_bin: Path | None = None) -> DemoServers:
    from analytics_replica.demo.server import DemoServers  # noqa: PLC0415 - the demo is an extra

    return DemoServers(_root(invocation), postgres_bin)


def _dsns(servers: DemoServers) -> dict[str, str]:
    return {
        "production": servers.production_admin_dsn,
        "warehouse": servers.warehouse_admin_dsn,
        "dagster": servers.dagster_admin_dsn,
    }


def _show_servers(servers: DemoServers) -> None:
    show_pairs(_dsns(servers))
    note(f"In one shell:  set -a; . {servers.folder.path / 'demo.env'}")


def _show(summary: Summary, folder: Path) -> None:
    rows, found = summary.rows, summary.searched
    leaks = sum(hit.count for hit in found.hits)
    say(f"\nDone in {summary.seconds:.0f} s.", "bold")
    show_pairs(
        {
            "rows in production": f"{rows.production:,}",
            "events landed": f"{rows.landed_events:,}",
            "rows in staging": f"{rows.staging:,}",
            "rows in gold": f"{rows.gold:,}",
            "searched": f"{found.bytes / 2**20:,.0f} MB on disk for {found.planted:,} values",
            "personal values found outside production": f"{leaks:,}",
            "tonight": summary.ready,
        }
    )
    for hit in found.hits:
        say(f"  {hit.where}: {hit.count:,} of {hit.kind}", "bold red")
    mine = shlex.quote(os.path.relpath(sys.argv[0]))
    say("\nTry next:")
    say(f"  {mine} ui              the same graph in Dagster, in the browser")
    say(f"  {mine} demo traffic    let the shop go on; then: {mine} run")
    say(f"  {mine} status          how tonight stands, and how fresh everything is")
    say(f"The servers go on; `{mine} demo down` stops them. Everything is in {folder}.", "dim")
