"""Names survive every quoting, and what they become is safe everywhere.

Judged by PyYAML, Jinja and PostgreSQL's own list of words.
"""

from __future__ import annotations

import re

import jinja2
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.cli.init.names import distinct, in_dbt, in_yaml, is_plain, snake
from analytics_replica.postgres.identifiers import name
from analytics_replica_tests.support.servers import Database

IDENTIFIERS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
).filter(lambda text: len(text.encode()) <= 63)
TRICKY = st.sampled_from(
    ["null", "yes", "No", "on", "~", "1e3", "a: b", "#x", "{{ a }}", "{% raw %}", "{# #}", "'", '"']
)


@given(IDENTIFIERS | TRICKY)
def test_a_name_in_yaml_is_read_as_exactly_that_text(identifier: str) -> None:
    assert yaml.safe_load(f"{in_yaml(identifier)}: keep") == {identifier: "keep"}


@given(IDENTIFIERS | TRICKY)
def test_a_name_in_a_dbt_model_is_exactly_that_column_after_jinja(identifier: str) -> None:
    rendered = jinja2.Template(in_dbt(identifier), keep_trailing_newline=True).render()
    assert rendered == (identifier if is_plain(identifier) else name(identifier).text)


@given(IDENTIFIERS)
def test_a_name_in_snake_case_needs_no_quotes(identifier: str) -> None:
    assert is_plain(snake(identifier, "field"))


@given(st.lists(st.text("abc_", min_size=1, max_size=80), max_size=20))
def test_distinct_names_are_all_different_and_fit(wanted: list[str]) -> None:
    given_names = distinct(dict(enumerate(wanted)))
    assert len(set(given_names.values())) == len(wanted)
    assert all(len(one) <= 63 for one in given_names.values())


def test_names_that_people_write_become_what_they_would_expect() -> None:
    written = ["Full Name", "lastIP", "Straße", "E-Mail", "order", "имя", "2nd", "HTTPStatus"]
    assert [snake(text, "field") for text in written] == [
        *("full_name", "last_ip", "strasse", "e_mail", "order_", "field", "field_2nd"),
        "http_status",
    ]


def test_the_words_that_need_quotes_are_the_servers_own(production: Database) -> None:
    reserved = production.rows("select word from pg_get_keywords() where catcode in ('R', 'T')")
    assert {word for (word,) in reserved if is_plain(word)} == set()
    free = production.rows("select word from pg_get_keywords() where catcode in ('U', 'C')")
    assert {w for (w,) in free if re.fullmatch("[a-z_]+", w) and not is_plain(w)} == set()
