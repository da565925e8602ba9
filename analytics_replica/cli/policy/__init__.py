"""`policy`: what replica.yaml says of each column, what it could say, and whether it may.

Here: the four commands, one file each (show, suggest, check, diff), where they learn of
production's tables (tables.py), and adding lines to replica.yaml (writing.py). Not here: the
judgements (masking), the sample (landing.sampling). Nothing is written to any server.
"""

import typer

from analytics_replica.cli.policy import check, diff, show, suggest

app = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="The masking policy: show it, propose rules, check it in CI, see what a change does.",
)
app.command("show", epilog=show.EPILOG)(show.show_command)
app.command("suggest", epilog=suggest.EPILOG)(suggest.suggest_command)
app.command("check", epilog=check.EPILOG)(check.check_command)
app.command("diff", epilog=diff.EPILOG)(diff.diff_command)

__all__ = ["app"]
