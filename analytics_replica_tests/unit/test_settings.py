"""replica.yaml that is wrong is refused with the key, the line and what would fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.load import Settings, load_settings, masking_keys
from analytics_replica_tests.support.pipeline import KEY

GOOD = """
source:
  dsn: {env: SOURCE}
  copy_directory: copy
masking:
  keys: {k1: {env: KEY}}
  active_key: k1
tables:
  shop.orders:
    columns:
      id: keep
      email: {mask: email, domain: email}
landing: {url: landing}
warehouse: {dsn: {env: WAREHOUSE}}
gold: {project_dir: dbt_project}
"""


def load(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "replica.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ)


@pytest.mark.parametrize(
    ("good", "wrong", "says"),
    [
        ("copy_directory", "copy_directry", "line 4: unknown key `source.copy_directry`"),
        ("copy_directory", "copy_directry", "Did you mean `copy_directory`"),
        ("domain: email", "domin: email", "Did you mean `domain`"),
        ("id: keep", "id: keeep", "line 11: `tables.shop.orders.columns.id`"),
        ("mask: email", "mask: scramble", "columns.email.mask`"),
        ("{mask: email, domain: email}", "{mask: email}", "needs a `domain`"),
        ("active_key: k1", "active_key: k2", "is not one of the keys"),
        ("shop.orders", "orders", "not written as schema.name"),
        ("landing: {url: landing}", "", "`landing`: Field required"),
        ("  copy_directory: copy", "\tcopy_directory: copy", "not valid YAML"),
        ("      id: keep", "      id: keep\n      id: drop", "`id` stands twice"),
        ("gold:", "deadlines: {zone: Mars/Base}\ngold:", "not a time zone"),
        ("gold:", "deadlines: {ready_by: 14:00}\ngold:", "write times in quotes"),
    ],
)
def test_a_wrong_key_is_named_with_its_line_and_the_nearest_valid_one(
    tmp_path: Path, good: str, wrong: str, says: str
) -> None:
    load(tmp_path, GOOD)
    with pytest.raises(SettingsInvalid) as refused:
        load(tmp_path, GOOD.replace(good, wrong, 1))
    assert says in str(refused.value)


POLICY = """
source:
  dsn: {env: SOURCE}
  copy_directory: copy
masking:
  keys:
    k1: {env: KEY}
  active_key: k1
  classes:
    email: {mask: email, domain: email}
  patterns:
    "shop.*.email*": {class: email}
tables:
  shop.orders:
    columns:
      id: keep
      email:
        class: email
      phone: {class: phone}
      literal[x]: keep
      Mask:
        mask: json
        paths:
          tier: keep
          contact.email: {class: email}
  crm.people:
    columns:
      id: keep
landing: {url: landing}
warehouse: {dsn: {env: WAREHOUSE}}
gold: {project_dir: dbt_project}
"""


@pytest.mark.parametrize(
    ("good", "wrong", "line", "says"),
    [
        ("        class: email\n", "        class: emial\n", 18, "columns.email.class`"),
        ("        class: email\n", "        clas: email\n", 18, "Did you mean `class`"),
        ("        mask: json", "        mask: jsn", 22, "columns.Mask.mask`"),
        ("          tier: keep", "          tier: kept", 24, "columns.Mask.paths.tier`"),
        ("{class: email}\n  crm", "{class: emial}\n  crm", 25, "paths.contact.email.class`"),
        ("literal[x]: keep", "literal[x]: kept", 20, "columns.literal[x]`"),
        ("  active_key: k1", "  active_key: k9", 8, "`masking.active_key`"),
        ("k1: {env: KEY}", "k1: {}", 7, "exactly one of `env` and `file`"),
        ("email: {mask: email, domain: email}", "email: {mask: email}", 10, "domain"),
        ('"shop.*.email*": {class: email}', '"shop.email": {class: email}', 12, "shop.email"),
        ("{class: email}\ntables", '{mask: keep, because: "it may"}\ntables', 12, "patterns"),
        ("phone: {class: phone}", "phone: {class: phone, domain: email}", 19, "would not join"),
        ("phone: {class: phone}", "phone: {class: phone, mask: null}", 19, "in quotes"),
        ("phone: {class: phone}", "phone: {class: phone, region: UK}", 19, "'UK' is no country"),
        ("  crm.people:", "  people:", 26, "not written as schema.name"),
        ("  crm.people:", "  crm.orders:", 26, "would both be staging.orders"),
    ],
)
def test_every_complaint_about_a_policy_names_the_line_of_the_offending_key(
    tmp_path: Path, good: str, wrong: str, line: int, says: str
) -> None:
    load(tmp_path, POLICY)
    assert POLICY.count(good) == 1
    with pytest.raises(SettingsInvalid) as refused:
        load(tmp_path, POLICY.replace(good, wrong, 1))
    assert refused.value.what.startswith(f"replica.yaml line {line}: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "rule",
    [
        '{mask: keep, because: "it may"}',
        '{class: city, mask: keep, because: "it may"}',
        "{mask: json, paths: {a: keep}}",
        '{mask: json, paths: {a: {mask: json, paths: {b: {mask: keep, because: "it may"}}}}}',
    ],
)
def test_a_pattern_never_keeps(tmp_path: Path, rule: str) -> None:
    patterns = f'  patterns: {{"shop.*.*city": {rule}}}\ntables'
    with pytest.raises(SettingsInvalid, match="would keep columns that nobody has looked at"):
        load(tmp_path, GOOD.replace("tables", patterns, 1))


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("{mask: token, domain: email}", "normalise none here and with normalise email"),
        ("{mask: token, domain: email, normalise: email, as: uuid}", "as uuid here"),
        ("{mask: json, paths: {a: {mask: token, domain: email}}}", "normalise none here"),
    ],
)
def test_columns_of_one_domain_whose_tokens_would_not_join_are_refused(
    tmp_path: Path, rule: str, says: str
) -> None:
    text = GOOD.replace("domain: email}", f"domain: email}}\n      other: {rule}", 1)
    with pytest.raises(SettingsInvalid, match=says) as refused:
        load(tmp_path, text)
    assert "line 13" in refused.value.what
    assert "tables.shop.orders.columns.other" in refused.value.what


def test_the_line_of_every_rule_is_known(tmp_path: Path) -> None:
    settings = load(tmp_path, POLICY)
    orders = TableName("shop", "orders")
    assert [settings.line_of(orders, name) for name in ("id", "email", "Mask")] == [16, 17, 21]
    assert settings.line_of(TableName("crm", "people")) == 26


def test_a_file_that_is_not_utf_8_is_refused_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "replica.yaml").write_bytes(b"source: \xff\n")
    with pytest.raises(SettingsInvalid, match="cannot be read: it is not UTF-8"):
        load_settings(tmp_path / "replica.yaml", {})


def test_two_tables_with_one_staging_name_need_an_alias(tmp_path: Path) -> None:
    twice = GOOD.replace("landing:", "  crm.orders: {columns: {id: keep}}\nlanding:", 1)
    with pytest.raises(SettingsInvalid, match=r"would both be staging\.orders"):
        load(tmp_path, twice)
    load(tmp_path, twice.replace("{columns: {id: keep}}", "{columns: {id: keep}, alias: old}"))


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="analytics-replica init"):
        load_settings(tmp_path / "none.yaml", {})


def test_the_environment_wins_over_the_environment_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOURCE=from file\nWAREHOUSE=from file\n")
    settings = load(tmp_path, GOOD, SOURCE="from environment")
    assert settings.secrets.get(settings.replica.source.dsn) == "from environment"
    assert settings.secrets.get(settings.replica.warehouse.dsn) == "from file"


@pytest.mark.parametrize("key", ["", "zz", "ab" * 31, "not hex at all"])
def test_a_missing_or_short_masking_key_is_refused_and_never_shown(
    tmp_path: Path, key: str
) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        masking_keys(load(tmp_path, GOOD, KEY=key))
    assert not key or key not in str(refused.value)


def test_secrets_are_not_in_any_repr(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD, KEY=KEY, SOURCE="postgresql://u:hunter2@h/d")
    shown = repr(settings) + repr(masking_keys(settings)) + str(settings)
    assert "hunter2" not in shown
    assert KEY[:8] not in shown
    assert repr(bytes.fromhex(KEY)) not in shown
