"""`policy check`, `show` and `suggest --write`, without any server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from analytics_replica.cli.policy.writing import add_columns, with_columns
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.masking.suggest import NULL, Suggestion
from analytics_replica.settings.load import load_settings
from analytics_replica.settings.rules import Mask
from analytics_replica_tests.support.commands import Ended, call

GOOD = """\
# reviewed by the data protection officer
source: {dsn: {env: SOURCE}, copy_directory: copy}
masking:
  keys: {k1: {env: KEY}}
  active_key: k1
tables:
  shop.orders:   # the heart of it
    columns:
      id: keep
      email: {class: email}   # joins with people

      document: {mask: json, paths: {tier: keep}}
    append_only: true

  shop.people:
    columns: {id: keep, mail: {class: email}, pass: {class: secret}}
landing: {url: landing}
warehouse: {dsn: {env: WAREHOUSE}}
gold: {project_dir: dbt_project}
"""


def policy(folder: Path, text: str, *command: str) -> Ended:
    (folder / "replica.yaml").write_text(text, encoding="utf-8")
    return call("--config", str(folder / "replica.yaml"), "policy", *command)


def test_a_policy_that_keeps_nothing_personal_passes(tmp_path: Path) -> None:
    ended = policy(tmp_path, GOOD, "check", "--json")
    assert (ended.code, ended.json["passed"], ended.json["objections"]) == (0, True, [])


@pytest.mark.parametrize(
    ("good", "wrong", "line", "says"),
    [
        ("email: {class: email}", "email: keep", 10, "by its name it is an e-mail address"),
        (
            "email: {class: email}",
            'email: {class: email, mask: keep, because: "they agreed"}',
            10,
            "declared as email, and kept",
        ),
        ("{tier: keep}", "{contact.phone: keep}", 12, "path contact.phone"),
        ("{tier: keep}", '{"emails[].value": keep}', 12, "path emails[].value"),
        ("email: {class: email}", "email: {class: ip, v4: 32}", 10, "is the whole address"),
        (
            "email: {class: email}",
            "email: {class: national_id, mask: bucket, width: 1}",
            10,
            "is the whole number",
        ),
        ("mail: {class: email}, pass", "blood_type: keep, pass", 16, "something private"),
    ],
)
def test_a_classified_class_that_is_kept_fails_with_its_line(
    tmp_path: Path, good: str, wrong: str, line: int, says: str
) -> None:
    ended = policy(tmp_path, GOOD.replace(good, wrong, 1), "check", "--json")
    assert ended.code == 40
    (objection,) = ended.json["objections"]
    assert objection["line"] == line
    assert says in objection["reason"]


def test_a_class_that_this_file_defines_as_kept_is_kept_all_the_same(tmp_path: Path) -> None:
    own = '  classes: {email: {mask: keep, because: "all are public"}}\n  active_key'
    ended = policy(tmp_path, GOOD.replace("  active_key", own, 1), "check", "--json")
    assert ended.code == 40
    assert {one["column"] for one in ended.json["objections"]} == {"email", "mail"}


def test_a_reason_settles_what_only_looks_like_a_persons(tmp_path: Path) -> None:
    reason = 'email: {mask: keep, because: "our own address, the same in every row"}'
    assert policy(tmp_path, GOOD.replace("email: {class: email}", reason, 1), "check").code == 0


def test_what_people_read_names_file_line_column_and_what_to_do(tmp_path: Path) -> None:
    told = policy(tmp_path, GOOD.replace("email: {class: email}", "email: keep", 1), "check")
    words = " ".join(told.out.split())
    for expected in ("replica.yaml:10", "shop.orders.email", "because", "1 objections"):
        assert expected in words


def test_every_column_is_shown_with_class_treatment_and_what_it_keeps(tmp_path: Path) -> None:
    rows = {r["column"]: r for r in policy(tmp_path, GOOD, "show", "--json").json["columns"]}
    assert list(rows) == ["id", "email", "document", "mail", "pass"]
    email = rows["email"]
    assert (email["class"], email["keeps_joins"], email["keeps_unique"]) == ("email", True, False)
    assert (email["staging_type"], email["lossy"]) == ("text", False)
    assert (rows["pass"]["class"], rows["pass"]["treatment"]) == ("secret", "drop")
    assert rows["id"]["staging_type"] is None
    assert "shop.people" not in policy(tmp_path, GOOD, "show", "shop.orders").out
    assert policy(tmp_path, GOOD, "show", "shop.nothing").code == 40


ADDED = {
    TableName("shop", "orders"): {
        "phone": Suggestion(Mask.model_validate({"class": "phone"}), "a phone number"),
        "odd: name": Suggestion(NULL, "nobody can tell", decide=True),
    },
    TableName("shop", "people"): {"total": Suggestion("keep", "a number")},
}


def test_columns_are_added_behind_the_last_one_and_nothing_else_changes() -> None:
    after = with_columns(GOOD, ADDED)
    new = [line for line in after.splitlines() if line not in GOOD.splitlines()]
    assert new == [
        "      phone: {class: phone}   # a phone number",
        "      'odd: name': {mask: \"null\"}   # decide: nobody can tell",
        "    columns: {id: keep, mail: {class: email}, pass: {class: secret}, total: keep}",
    ]
    gone = [line for line in GOOD.splitlines() if line not in after.splitlines()]
    assert gone == ["    columns: {id: keep, mail: {class: email}, pass: {class: secret}}"]
    rules = yaml.safe_load(after)["tables"]
    assert list(rules["shop.orders"]["columns"]) == [
        "id",
        "email",
        "document",
        "phone",
        "odd: name",
    ]
    assert rules["shop.orders"]["append_only"] is True


def test_the_file_is_replaced_whole_and_only_if_it_says_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "replica.yaml"
    file.write_text(GOOD, encoding="utf-8")
    add_columns(load_settings(file, {}), ADDED)
    columns = load_settings(file, {}).replica.tables["shop.orders"].columns
    assert list(columns) == ["id", "email", "document", "phone", "odd: name"]
    # An anchor: what is added to the columns of one table is added to the other's, too.
    orders = GOOD.index("    columns:\n")
    shared = (
        GOOD[:orders]
        + "    columns: &all {id: keep}\n  shop.people:\n    columns: *all\n"
        + GOOD[GOOD.index("landing") :]
    )
    file.write_text(shared, encoding="utf-8")
    only = {TableName("shop", "orders"): ADDED[TableName("shop", "orders")]}
    with pytest.raises(SettingsInvalid, match="lines cannot be added"):
        add_columns(load_settings(file, {}), only)
    assert file.read_text(encoding="utf-8") == shared


def test_nothing_is_proposed_where_nothing_is_known(tmp_path: Path) -> None:
    ended = policy(tmp_path, GOOD, "suggest")
    assert ended.code == 20
    assert "--catalog DSN" in ended.err
