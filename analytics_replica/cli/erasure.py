"""`erasure verify`: the proof that nothing of a deleted person is left, as a receipt.

Here: the command, reading the key so that no shell history has it, and how a receipt looks. Not
here: the search (serving.erasure).
"""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.dagster_home import VARIABLE, storage_dsn
from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import say, say_json, show_pairs
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.errors import (
    ErasureNotProven,
    LandingBroken,
    NotErased,
    SettingsInvalid,
    WarehouseUnreachable,
)
from analytics_replica.serving.erasure.request import Elsewhere, Receipt, Request
from analytics_replica.serving.erasure.verify import key_of, verify_erasure
from analytics_replica.settings.load import Settings

VERIFY_EPILOG: Final = epilog(
    "analytics-replica erasure verify shop.customers - --value email=- < key-and-email.txt",
    SettingsInvalid,
    LandingBroken,
    WarehouseUnreachable,
    NotErased,
    ErasureNotProven,
)

FROM_STDIN: Final = "-"
FOLDERS: Final = ("target", "logs")

app = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="People whom production deleted.",
)


@app.callback()
def erasure() -> None:
    """People whom production deleted."""


Key = Annotated[
    list[str] | None,
    typer.Argument(help="The raw key, in key order; `-` reads a line of stdin.", metavar="KEY…"),
]
ByName = Annotated[
    list[str] | None,
    typer.Option("--key", help="The same by name; may be repeated.", metavar="COLUMN=RAW"),
]
Value = Annotated[
    list[str] | None,
    typer.Option(help="Another raw value of the row; may be repeated.", metavar="COLUMN=RAW"),
]
Named = Annotated[
    list[str] | None,
    typer.Option(help="Another name of columns that hold the key elsewhere.", metavar="COLUMN"),
]


@app.command("verify", epilog=VERIFY_EPILOG)
def verify_command(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="The table, as replica.yaml names it.")],
    key: Key = None,
    by_name: ByName = None,
    value: Value = None,
    named: Named = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the receipt as JSON.")] = False,
) -> None:
    """Search every store for what the masks made of a person's key and values; print a receipt.

    The key is never printed nor logged. Exit code 0: nothing is left anywhere; 73: something is,
    and the receipt says where and until when; 74: a store could not be searched, or nothing tells
    the person from others there.
    """
    settings = Invocation.of(context).settings()
    wanted = _named_table(table)
    request = Request(
        wanted, _key(settings, wanted, key or [], by_name or []), _pairs(value or []), named or []
    )
    with shown_progress(quiet=as_json) as progress:
        receipt = verify_erasure(
            settings,
            SystemClock(),
            request,
            by=f"{getpass.getuser()}@{socket.gethostname()}",
            elsewhere=_elsewhere(settings),
            progress=progress,
        )
    if as_json:
        say_json({**receipt.body, "digest": receipt.digest})
    else:
        _show(receipt)
    _end(receipt)


def _named_table(written: str) -> TableName:
    try:
        return TableName.parse(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not written as schema.name") from None


def _key(
    settings: Settings, table: TableName, given: list[str], by_name: list[str]
) -> Mapping[str, str]:
    if given and by_name:
        raise typer.BadParameter("give KEY in order or --key by name, not both")
    if by_name:
        return dict(_pairs(by_name))
    columns = key_of(settings, table)
    if not columns:
        raise typer.BadParameter(f"{table} has no key; name columns that tell the row with --key")
    if len(given) != len(columns):
        raise typer.BadParameter(f"the key of {table} is {', '.join(columns)}: give each of them")
    return dict(zip(columns, map(_raw, given), strict=True))


def _pairs(written: list[str]) -> list[tuple[str, str]]:
    found = []
    for pair in written:
        column, sign, raw = pair.partition("=")
        if not sign or not column:
            raise typer.BadParameter("write it as COLUMN=RAW; the value is not repeated here")
        found.append((column, _raw(raw)))
    return found


def _raw(written: str) -> str:
    if written != FROM_STDIN:
        return written
    line = sys.stdin.readline()
    if not line:
        raise typer.BadParameter("stdin has no line for each `-`")
    return line.rstrip("\r\n")


def _elsewhere(settings: Settings) -> Elsewhere:
    """Where Dagster and dbt keep what they write. Without DAGSTER_HOME its storage is not known."""
    project = settings.path(settings.replica.gold.project_dir)
    folders = [project / name for name in FOLDERS]
    home = settings.secrets.environ.get(VARIABLE)
    if not home:
        return Elsewhere(None, tuple(folders))
    return Elsewhere(storage_dsn(settings), (*folders, Path(home)))


def _end(receipt: Receipt) -> None:
    found = [store for store in receipt.body["stores"] if store["outcome"] != Outcome.PASS]
    names = ", ".join(store["store"] for store in found)
    if receipt.outcome is Outcome.FAIL:
        raise NotErased(
            what=f"Something is left in: {names}.",
            why="The receipt says where and until when.",
            next="Wait for that, or see docs/how-to/erase-a-person.md; then verify again.",
        )
    if receipt.outcome is Outcome.CANNOT_TELL:
        raise ErasureNotProven(
            what=f"Not everything could be searched: {names}.",
            why="What was not searched may hold something, so this is no proof.",
            next="Mend what the receipt names (DAGSTER_HOME tells where Dagster keeps its runs; "
            "--value of a column with tokens tells a person whose key is kept), then verify again.",
        )


def _show(receipt: Receipt) -> None:
    body = receipt.body
    styles = {Outcome.PASS.value: "green", Outcome.FAIL.value: "bold red"}
    say(
        f"Erasure of one row of {body['table']}: {body['outcome']}", styles.get(body["outcome"], "")
    )
    positions = body["positions"]
    show_pairs(
        {
            "reference": body["reference"],
            "at": body["at"],
            "by": body["by"],
            "policy": body["policy"],
            "masking keys tried": ", ".join(body["key_ids"]),
            "searched for": "; ".join(body["traces"]) or "nothing",
            "nothing to search for": "; ".join(body["nothing_to_search_for"]) or "-",
            "staging is at": f"{positions['staging_position']}, batch {positions['staging_batch']}",
            "newest batch": f"{positions['newest_batch']}, {positions['newest_captured_at']}",
            "landing's base": str(positions["base_batch"] or "none"),
            "retention": f"{positions['retention_days']} days",
        }
    )
    for store in body["stores"]:
        for line in _store_lines(store):
            say(line)
    say("What this does not see:")
    for limit in body["limits"]:
        say(f"  - {limit}")
    show_pairs({"digest": receipt.digest})


def _store_lines(store: Mapping[str, Any]) -> Iterator[str]:
    counts = ", ".join(
        f"{store[what]:,} {words}"
        for what, words in (("tables", "tables"), ("files", "files"))
        if store[what]
    )
    told = f"{counts or 'nothing there'}, {store['rows_or_bytes']:,} rows or bytes"
    yield f"  {store['outcome']:<11} {store['store']}: {told}"
    if store["not_searched"]:
        yield f"      no proof: {store['not_searched']}"
    for hit in store["found"]:
        yield f"      {hit['where']}: {hit['what']}, {hit['count']:,} times; gone: {hit['gone']}"
    for unreadable in store["unreadable"]:
        yield f"      not readable: {unreadable}"
