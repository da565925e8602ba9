"""Keys that protect something: what is refused, what is shown, who gets them.

Oracle: Python's hmac and os, and the words of the refusals.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import os
import pickle
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.masking.key_versions import check_value, keys_named, require_same, under
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.treatments import Treatment
from analytics_replica.orchestration.environment import environment
from analytics_replica.postgres.programs import environment_of_programs
from analytics_replica.settings.load import Settings, load_settings, masking_keys
from analytics_replica.settings.secrets import MaskingKeys, key_variables, why_weak
from analytics_replica_tests.support.pipeline import KEY
from analytics_replica_tests.support.rotating import KEYS, key_file

PUBLISHED = bytes(range(32)).hex()
"""The key of the test vectors in docs/reference/tokens.md."""


def settings_with(root: Path, keys: str, **environ: str) -> Settings:
    file = root / "replica.yaml"
    file.write_text(
        f"""
source: {{dsn: {{env: SOURCE}}, copy_directory: copy}}
masking: {{keys: {{{keys}}}, active_key: k1}}
tables: {{shop.people: {{columns: {{id: keep}}}}}}
landing: {{url: landing}}
warehouse: {{dsn: {{env: WAREHOUSE}}}}
gold: {{project_dir: dbt_project}}
"""
    )
    return load_settings(file, environ)


def refusal(root: Path, keys: str, **environ: str) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        masking_keys(settings_with(root, keys, **environ))
    return str(refused.value)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("5f" * 32, "its bytes are all equal"),
        (PUBLISHED, "count up or down"),
        ("0123456789abcdef" * 4, "it repeats every 8 bytes"),
        (KEYS["k1"] * 2, "it repeats every 32 bytes"),
        (b"letmein1letmeinoletmeinnletmein!".hex(), "fewer than 16 different bytes"),
    ],
)
def test_a_key_that_nobody_drew_at_random_is_refused_without_being_shown(
    tmp_path: Path, key: str, reason: str
) -> None:
    said = refusal(tmp_path, "k1: {env: KEY}", KEY=key)
    assert reason in said
    assert key[:16] not in said


def test_ten_thousand_random_keys_are_all_taken() -> None:
    assert not any(why_weak(secrets.token_bytes(32)) for _ in range(10_000))


def test_one_key_under_two_ids_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, "k1: {env: A}, k2: {env: B}", A=KEY, B=KEY.upper())
    assert "k1 and k2 are the same key" in said


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o602])
def test_a_key_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    key_file(tmp_path / "k1.key", KEY, mode)
    said = refusal(tmp_path, "k1: {file: k1.key}")
    assert f"its mode is {mode:o}" in said
    assert "chmod 600" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_another_account_is_refused(tmp_path: Path) -> None:
    key_file(tmp_path / "k1.key", KEY)
    os.chown(tmp_path / "k1.key", 12345, 12345)
    assert "belongs to another account" in refusal(tmp_path, "k1: {file: k1.key}")


def test_what_is_judged_is_the_file_behind_a_link_and_a_pipe_is_not_waited_for(
    tmp_path: Path,
) -> None:
    key_file(tmp_path / "open.key", KEY, 0o644)
    (tmp_path / "k1.key").symlink_to("open.key")
    assert "its mode is 644" in refusal(tmp_path, "k1: {file: k1.key}")
    (tmp_path / "k1.key").unlink()
    os.mkfifo(tmp_path / "k1.key", 0o600)
    assert "is not a file" in refusal(tmp_path, "k1: {file: k1.key}")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_file_is_read(tmp_path: Path, mode: int) -> None:
    key_file(tmp_path / "k1.key", KEY + "\n", mode)
    found = masking_keys(settings_with(tmp_path, "k1: {file: k1.key}"))
    assert found.active_key == bytes.fromhex(KEY)


def test_neither_a_key_nor_the_environment_shows_itself_or_can_be_pickled(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "k1: {env: KEY}", KEY=KEY)
    keys = masking_keys(settings)
    key = keys.by_id["k1"]
    shown = f"{key!s} {key!r} {keys!r} {dict(keys.by_id)} {settings!r}"
    assert repr(bytes.fromhex(KEY))[2:-1] not in shown
    assert KEY not in shown.lower()
    for secret in (key, keys, settings.secrets, settings):
        for write in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="secrets are not written anywhere"):
                write(secret)


def test_the_check_value_is_what_anybody_with_the_key_can_compute() -> None:
    key = bytes.fromhex(KEY)
    expected = hmac.new(key, b"analytics-replica/key-check/v1", hashlib.sha256).hexdigest()[:16]
    assert check_value(key) == expected


@given(st.binary(min_size=32, max_size=64), st.binary(min_size=32, max_size=64))
def test_two_keys_have_one_check_value_only_if_they_are_the_same(one: bytes, two: bytes) -> None:
    assert (check_value(one) == check_value(two)) == (one == two)


def test_a_key_that_was_replaced_is_refused_by_its_check_value() -> None:
    keys = MaskingKeys("k1", {"k1": bytes.fromhex(KEYS["k2"])})
    before = check_value(bytes.fromhex(KEYS["k1"]))
    with pytest.raises(SettingsInvalid, match="k1 is not the one") as refused:
        require_same([("k1", before)], keys)
    assert before in refused.value.what
    require_same([("k1", check_value(bytes.fromhex(KEYS["k2"]))), ("k9", before)], keys)


@pytest.mark.parametrize(
    ("treatment", "named"),
    [
        ("keep", set()),
        ("sealed", set()),
        ("sealed: its type changed key=k7", set()),
        ('constant {"value":"key=k1"}', set()),
        ("initials", set()),
        ("token domain=e key=k1", {"k1"}),
        ("email domain=e normalise=trim_lower key=2026-01", {"2026-01"}),
        ('token {"domain":"a key=k9","key":"k2"}', {"k2"}),
        ('json {"key":"k2","paths":{"key":"keep","a":{"domain":"e","mask":"token"}}}', {"k2"}),
    ],
)
def test_the_key_of_a_recorded_treatment_is_found(treatment: str, named: set[str]) -> None:
    assert keys_named([treatment]) == named


def test_a_policy_under_another_key_differs_in_its_tokens_alone(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "k1: {env: KEY}", KEY=KEY)
    people = TableName("shop", "people")
    policy = Policy.from_settings(settings)
    assert under(policy, "k2") == policy
    keyed: dict[str, Treatment] = {"id": policy.tables[people]["id"]}
    assert under(Policy({people: keyed}), "k2").tables[people] == keyed


def test_postgresqls_programs_and_dbt_get_no_key_and_no_dsn_of_production(tmp_path: Path) -> None:
    ours = {"KEY": KEY, "SOURCE": "dsn", "PATH": "/bin", "PGSSLROOTCERT": "ca", "LC_ALL": "C"}
    handed = environment_of_programs(ours, {"PGPASSWORD": "p"})
    assert set(handed) == {"PATH", "PGSSLROOTCERT", "LC_ALL", "PGPASSWORD"}
    settings = settings_with(tmp_path, "k1: {env: KEY}", KEY=KEY)
    assert key_variables(settings.replica.masking) == {"KEY"}


def test_what_is_taken_out_of_the_environment_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_TEST_SECRET", "s")
    monkeypatch.setenv("OF_TEST_OTHER", "before")
    with environment({"OF_TEST_OTHER": "inside"}, without={"OF_TEST_SECRET", "OF_TEST_ABSENT"}):
        assert "OF_TEST_SECRET" not in os.environ
        assert os.environ["OF_TEST_OTHER"] == "inside"
    assert os.environ["OF_TEST_SECRET"] == "s"
    assert os.environ["OF_TEST_OTHER"] == "before"
    assert "OF_TEST_ABSENT" not in os.environ
