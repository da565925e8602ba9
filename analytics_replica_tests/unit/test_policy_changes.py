"""What a change of the policy does, column by column, and how a CI job learns of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from analytics_replica.errors import PolicyViolation
from analytics_replica_tests.support.commands import Ended, call

HEAD = """
source: {dsn: {env: SOURCE}, copy_directory: copy}
masking:
  keys: {k1: {env: KEY}, k2: {env: KEY}}
  active_key: k1
landing: {url: landing}
warehouse: {dsn: {env: WAREHOUSE}}
gold: {project_dir: dbt_project}
"""
BEFORE = (
    HEAD
    + """
tables:
  shop.orders:
    columns:
      id: keep
      email: {class: email}
      name: {class: name}
      note: drop
      total: keep
      document: {mask: json, paths: {tier: keep}}
  shop.people:
    columns: {id: keep, mail: {class: email}}
"""
)


def diff(folder: Path, after: str, *options: str, before: str = BEFORE) -> Ended:
    (folder / "old.yaml").write_text(before, encoding="utf-8")
    (folder / "replica.yaml").write_text(after, encoding="utf-8")
    arguments = ("--config", str(folder / "replica.yaml"), "policy", "diff")
    return call(*arguments, str(folder / "old.yaml"), "--json", *options)


def changed(folder: Path, good: str, new: str) -> dict[str, dict[str, object]]:
    assert BEFORE.count(good) == 1
    found = diff(folder, BEFORE.replace(good, new)).json["changes"]
    return {f"{one['table']}.{one['column']}": one for one in found}


def test_equal_files_have_no_changes(tmp_path: Path) -> None:
    ended = diff(tmp_path, BEFORE.replace("keep\n", "keep  # reviewed\n"), "--fail-on", "any")
    assert (ended.code, ended.json["changes"]) == (0, [])


@pytest.mark.parametrize(
    ("good", "new", "column", "direction", "then"),
    [
        ("name: {class: name}", "name: keep", "name", "now kept", "copy"),
        ("note: drop", "note: keep", "note", "now kept", "publish, copy"),
        ("name: {class: name}", "name: {mask: initials}", "name", "loosened", "copy"),
        ("email: {class: email}", 'email: {mask: "null"}', "email", "tightened", "copy"),
        ("total: keep", "total: drop", "total", "tightened", "publish, copy"),
        ("      total: keep\n", "", "total", "tightened", "publish, copy"),
        ("note: drop", 'note: {mask: "null"}', "note", "changed", "publish"),
        ("total: keep", "total: keep\n      extra: keep", "extra", "loosened", "publish, copy"),
        ("{tier: keep}", "{tier: keep, plan: keep}", "document", "loosened", "copy"),
        ("{tier: keep}", "{}", "document", "tightened", "copy"),
    ],
)
def test_every_change_has_a_direction_and_what_must_be_done(
    tmp_path: Path, good: str, new: str, column: str, direction: str, then: str
) -> None:
    found = changed(tmp_path, good, new)
    assert list(found) == [f"shop.orders.{column}"]
    only = found[f"shop.orders.{column}"]
    assert only["direction"] == direction
    assert only["republish"] == ("publish" in then)
    assert only["recopy"] == ("copy" in then)


def test_a_column_that_is_kept_now_is_a_red_flag(tmp_path: Path) -> None:
    follows = changed(tmp_path, "name: {class: name}", "name: keep")["shop.orders.name"]["follows"]
    assert "RED FLAG" in str(follows)


def test_joins_that_are_lost_and_gained_are_named(tmp_path: Path) -> None:
    other = "email: {class: email, mask: token, domain: person_name, normalise: none}"
    follows = str(changed(tmp_path, "email: {class: email}", other)["shop.orders.email"]["follows"])
    assert "no longer joins with shop.people.mail" in follows
    assert "joins with shop.orders.name" in follows


def test_another_key_changes_every_token_and_nothing_else(tmp_path: Path) -> None:
    found = changed(tmp_path, "active_key: k1", "active_key: k2")
    assert list(found) == ["shop.orders.email", "shop.orders.name", "shop.people.mail"]
    assert all("key k2 instead of k1" in str(one["follows"]) for one in found.values())


def test_a_table_that_comes_or_goes_changes_the_publication(tmp_path: Path) -> None:
    without = BEFORE[: BEFORE.index("  shop.people")]
    gone = diff(tmp_path, without).json["changes"]
    assert [(one["table"], one["column"], one["republish"]) for one in gone] == [
        ("shop.people", None, True)
    ]
    came = diff(tmp_path, BEFORE, before=without).json["changes"]
    assert {one["column"] for one in came} == {None, "id", "mail"}
    assert "resync shop.people" in str(came[0]["follows"])


@pytest.mark.parametrize(
    ("new", "never", "kept", "loosened", "any_change"),
    [
        ("name: keep", 0, 40, 40, 40),
        ("name: {mask: initials}", 0, 0, 40, 40),
        ("name: drop", 0, 0, 0, 40),
    ],
)
def test_a_ci_job_chooses_which_changes_fail_it(
    tmp_path: Path, new: str, never: int, kept: int, loosened: int, any_change: int
) -> None:
    after = BEFORE.replace("name: {class: name}", new)
    expected = {"never": never, "kept": kept, "loosened": loosened, "any": any_change}
    assert {how: diff(tmp_path, after, "--fail-on", how).code for how in expected} == expected
    assert PolicyViolation.exit_code == 40


def test_the_file_is_compared_with_what_git_has(tmp_path: Path) -> None:
    file = tmp_path / "replica.yaml"
    file.write_text(BEFORE, encoding="utf-8")
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "first")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    file.write_text(BEFORE.replace("name: {class: name}", "name: keep"), encoding="utf-8")
    told = call("--config", str(file), "policy", "diff", "--git", "HEAD", "--fail-on", "kept")
    assert told.code == 40
    assert "shop.orders.name" in told.out
    refused = call("--config", str(file), "policy", "diff", "--git", "--output=x")
    assert (refused.code, (tmp_path / "x").exists()) == (20, False)


def test_an_older_file_that_is_wrong_is_refused_with_its_own_name_and_line(tmp_path: Path) -> None:
    ended = diff(tmp_path, BEFORE, before=BEFORE.replace("note: drop", "note: dropp"))
    assert ended.code == 20
    assert "old.yaml line 16" in ended.err
