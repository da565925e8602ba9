"""The people of the demo's shop: each the same every time, none like another, all recognisable."""

from __future__ import annotations

from analytics_replica.demo.planted import PlantedValues
from analytics_replica.demo.shop.catalogue import description
from analytics_replica.demo.shop.people import (
    FIRST_NAMES,
    Kind,
    kind_of_word,
    person,
    spelled_card,
    spelled_email,
    spelled_phone,
)

PEOPLE = [person(number, seed=1) for number in range(3_000)]


def test_a_number_and_a_seed_give_the_same_person_every_time() -> None:
    assert person(17, seed=1) == PEOPLE[17]
    assert person(17, seed=2) != PEOPLE[17]


def test_two_people_never_share_an_email_a_telephone_or_a_card() -> None:
    for part in ("email", "other_email", "phone", "card"):
        assert len({getattr(one, part) for one in PEOPLE}) == len(PEOPLE)


def test_cards_pass_the_check_that_shops_make() -> None:
    for one in PEOPLE[:200]:
        doubled = [int(d) * (2 - place % 2) for place, d in enumerate(one.card)]
        assert len(one.card) == 16
        assert sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def test_every_spelling_of_a_value_is_recognised_as_the_same_value() -> None:
    for one in PEOPLE[:200]:
        for style in range(10):
            spelt = (
                spelled_phone(one.phone, style),
                spelled_email(one.email, style),
                spelled_card(one.card, style),
            )
            found = PlantedValues.of(spelt)
            assert found.phones == {one.phone}
            assert found.emails == {one.email}
            assert found.cards == {one.card}


def test_a_marked_word_says_what_it_stands_for() -> None:
    one = PEOPLE[5]
    assert kind_of_word(one.last.lower()) is Kind.NAME
    assert kind_of_word(one.line1.split()[1].lower()) is Kind.ADDRESS
    assert kind_of_word(one.remark.lower()) is Kind.REMARK
    assert kind_of_word(one.parcel[:9].lower()) is Kind.PARCEL


def test_first_names_alone_are_not_planted_as_they_are_words_too() -> None:
    assert len(PlantedValues.of(FIRST_NAMES)) == 0


def test_descriptions_differ_by_product_and_edition_and_never_look_personal() -> None:
    texts = [description(number, 1, edition) for number in range(20) for edition in range(3)]
    assert len(set(texts)) == 60
    assert min(map(len, texts)) > 5_900
    assert len(PlantedValues.of(texts)) == 0
