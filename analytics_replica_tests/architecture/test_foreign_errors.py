"""Nobody repeats the text of another's exception: it may quote a row.

Here: reading every handler and every function that is given an exception. Not here: what comes out
at the boundary (unit/test_error_firewall.py). The boundary would stop most of it; this keeps the
text out of our own errors, which pass the boundary as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache

import pytest

from analytics_replica_tests.architecture.repository import Function, Module, modules

MAY_SPEAK: Mapping[tuple[str, str], str] = {
    ("analytics_replica/postgres/connect.py", "first_line"): "a connection that was never made",
    ("analytics_replica/staging/workbench.py", "_is_out_of_space"): "only whether it has two words",
    ("analytics_replica/orchestration/project.py", "_first_lines"): "parsing, without a database",
    ("analytics_replica/settings/load.py", "_explained"): "replica.yaml and nothing else",
    ("analytics_replica/settings/consistency.py", "_resolved"): "replica.yaml and nothing else",
}
"""Where the text of another's exception is used, and why there is no row in it."""

SAFE = frozenset({"errno", "strerror", "pgcode", "sqlstate", "diag"})
"""What an exception says in fields of their own that never hold a value."""
SHOWING = frozenset({"str", "repr", "format", "ascii", "vars"})
LOGGING = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})
QUOTING = frozenset(
    {"message_primary", "message_detail", "message_hint", "internal_query", "pgerror"}
)
WHOLE = frozenset(
    {
        "format_exc",
        "format_exception",
        "format_exception_only",
        "print_exc",
        "print_exception",
        "print_last",
        "TracebackException",
        "exc_info",
    }
)
LOCALS = frozenset({"show_locals", "pretty_exceptions_show_locals", "capture_locals"})


def test_no_error_of_ours_repeats_the_text_of_anothers_exception() -> None:
    assert [at for module in modules("analytics_replica") for at in _repeated(module)] == []


def test_nothing_prints_or_logs_a_whole_traceback_or_its_locals() -> None:
    assert [at for module in modules("analytics_replica") for at in _shown(module)] == []


def test_every_exemption_is_still_needed() -> None:
    speaking = {
        (module.path, _speaker(module, at))
        for module in modules("analytics_replica")
        for at in _found(module)
    }
    assert speaking == MAY_SPEAK.keys()


@pytest.mark.parametrize(
    "body",
    [
        'raise Ours(what=f"it failed: {cause}") from None',
        'raise Ours(what=f"it failed: {cause!r}") from None',
        'raise Ours(what="it failed: " + str(cause)) from None',
        'raise Ours(what="it failed: %s" % cause) from None',
        'raise Ours(what="it failed: {}".format(cause)) from None',
        "raise Ours(what=cause.args[0]) from None",
        "raise Ours(what=cause.diag.message_primary) from None",
        'raise Ours(what="it failed") from cause',
        'raise Ours(what="it failed")',
        'log.warning("it failed: %s", cause)',
    ],
)
def test_the_rule_finds_each_way_to_repeat_it(body: str) -> None:
    caught = f"try:\n    work()\nexcept psycopg2.Error as cause:\n    {body}\n"
    given = f"def of(cause: duckdb.Error) -> None:\n    {body}\n"
    assert list(_repeated(_module(caught)))
    # A function is called from a handler, which chains: only its own `from` counts.
    assert list(_repeated(_module(given))) or body == 'raise Ours(what="it failed")'


@pytest.mark.parametrize(
    "line",
    [
        'log.exception("it failed")',
        'log.error("it failed", exc_info=True)',
        "traceback.print_exc()",
        "text = traceback.format_exception(cause)",
        "rich.traceback.install(show_locals=True)",
        "app = typer.Typer(pretty_exceptions_show_locals=True)",
        "sys.exc_info()",
    ],
)
def test_the_rule_finds_each_way_to_show_a_whole_traceback(line: str) -> None:
    assert list(_shown(_module(line)))


def _repeated(module: Module) -> Iterator[str]:
    yield from (at for at in _found(module) if (module.path, _speaker(module, at)) not in MAY_SPEAK)


def _speaker(module: Module, at: str) -> str:
    """The function around a finding."""
    line = int(at.removeprefix(f"{module.path}:").split()[0])
    around = [f for f in module.functions() if f.lineno <= line <= (f.end_lineno or 0)]
    return max(around, key=lambda f: f.lineno).name if around else ""


def _found(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        match node:
            case ast.ExceptHandler(type=kind, name=name) if not _is_ours(kind):
                yield from _chained(module, node, name)
                if name is not None:
                    yield from _quoted(module, node.body, name)
            case ast.FunctionDef():
                yield from _told_by(module, node)
            case ast.Attribute(attr=attribute) if attribute in QUOTING:
                yield f"{module.at(node)} {attribute}"


def _told_by(module: Module, function: Function) -> Iterator[str]:
    for argument in (*function.args.args, *function.args.kwonlyargs):
        if argument.annotation is not None and _is_foreign(argument.annotation):
            yield from _quoted(module, function.body, argument.arg)


def _chained(module: Module, handler: ast.ExceptHandler, name: str | None) -> Iterator[str]:
    """Raising anew keeps the other's text in `__cause__` or, unsaid, in `__context__`."""
    for node in _of_this_handler(handler.body):
        if isinstance(node, ast.Raise) and node.exc is not None:
            again = isinstance(node.exc, ast.Name) and node.exc.id == name
            alone = isinstance(node.cause, ast.Constant) and node.cause.value is None
            if not (again or alone):
                yield f"{module.at(node)} raises with the other as its cause or context"


def _quoted(module: Module, body: list[ast.stmt], name: str) -> Iterator[str]:
    for node in (inner for statement in body for inner in ast.walk(statement)):
        match node:
            case ast.FormattedValue(value=value) if _is(value, name):
                yield f"{module.at(node)} formats {name}"
            case ast.BinOp(op=ast.Mod() | ast.Add(), right=right) if _names(right, name):
                yield f"{module.at(node)} formats {name}"
            case ast.Attribute(value=value, attr=attribute) if _is(value, name):
                if attribute not in SAFE and not attribute.startswith("__"):
                    yield f"{module.at(node)} uses {name}.{attribute}"
            case ast.Call() if _shows(node, name):
                yield f"{module.at(node)} shows {name}"
            case ast.Raise(cause=ast.Name(id=used)) if used == name:
                yield f"{module.at(node)} chains {name}"


def _shows(call: ast.Call, name: str) -> bool:
    function = ast.unparse(call.func).rsplit(".", 1)[-1]
    known = LOGGING if isinstance(call.func, ast.Attribute) else frozenset()
    return function in SHOWING | known and any(_names(argument, name) for argument in call.args)


def _shown(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="exception")):
                yield f"{module.at(node)} logs an exception"
            case ast.keyword(arg="exc_info", value=value):
                if not (isinstance(value, ast.Constant) and not value.value):
                    yield f"{module.at(node.value)} logs an exception"
            case ast.keyword(arg=str(name), value=ast.Constant(value=True)) if name in LOCALS:
                yield f"{module.at(node.value)} shows locals"
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in WHOLE:
                yield f"{module.at(node)} shows a whole traceback"


def _of_this_handler(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Its nodes without those of handlers inside, which are looked at by themselves."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        inner = (ast.ExceptHandler, ast.FunctionDef, ast.Lambda)
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, inner)]


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _names(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Tuple(elts=parts) | ast.BoolOp(values=parts):
            return any(_is(part, name) for part in parts)
        case _:
            return _is(node, name)


def _is_ours(kind: ast.expr | None) -> bool:
    """True if only errors of ours are caught: their text is ours."""
    match kind:
        case None:
            return False
        case ast.Tuple(elts=parts):
            return all(_is_ours(part) for part in parts)
        case _:
            return ast.unparse(kind).rsplit(".", 1)[-1] in _our_errors()


def _is_foreign(annotation: ast.expr) -> bool:
    names = [part.strip() for part in ast.unparse(annotation).split("|")]
    last = [name.rsplit(".", 1)[-1] for name in names]
    return any(name.endswith(("Error", "Exception")) and name not in _our_errors() for name in last)


@cache
def _our_errors() -> frozenset[str]:
    """Every exception that the package defines, and its groups of them."""
    found = {"ReplicaError", "REFUSALS"}
    classes = [
        node
        for module in modules("analytics_replica")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    ]
    for _ in range(4):  # no deeper than the tree
        for node in classes:
            bases = {ast.unparse(base).rsplit(".", 1)[-1] for base in node.bases}
            if bases & (found | {"Exception"}):
                found.add(node.name)
    return frozenset(found)


def _module(text: str) -> Module:
    return Module("analytics_replica/made_up.py", text, ast.parse(text))
