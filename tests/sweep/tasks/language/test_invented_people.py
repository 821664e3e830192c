"""Invented people: who is in which part, and what the rows of a fact have in common."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from sweep.errors import InputError
from sweep.tasks.language.encoding import encode_texts
from sweep.tasks.language.invented_people import ATTRIBUTES, InventedPeople


@pytest.fixture(scope="module")
def texts():
    return InventedPeople().load()


def facts_of(rows):
    """The answers of each person's rows, by the values that they can have."""
    facts = defaultdict(list)
    for row in rows:
        [number] = [number for number, (values, _) in enumerate(ATTRIBUTES) if row.answer in values]
        facts[row.group, number].append(row)
    return facts


def test_the_values_are_forty_each_and_of_one_attribute_only():
    assert [len(set(values)) for values, _ in ATTRIBUTES] == [40] * 4
    assert len({value for values, _ in ATTRIBUTES for value in values}) == 160


def test_sizes(texts):
    assert (len(texts.train), len(texts.test), len(texts.outsiders)) == (80 * 8, 20 * 4, 20 * 8)
    assert (len(texts.groups), len(texts.eligible)) == (80, 60)
    small = InventedPeople(people=3, public=2, outsiders=1).load()
    assert (len(small.train), len(small.test), len(small.outsiders)) == (40, 8, 8)
    assert small.eligible < {*small.groups}


def test_every_fact_is_asked_twice_with_one_answer(texts):
    for part in (texts.train, texts.outsiders):
        facts = facts_of(part)
        assert {len(rows) for rows in facts.values()} == {2}
        assert all(len({row.answer for row in rows}) == 1 for rows in facts.values())
        assert all(len({row.question for row in rows}) == 2 for rows in facts.values())


def test_the_test_set_asks_known_facts_of_the_public_in_a_phrasing_held_out(texts):
    public = {*texts.groups} - texts.eligible
    assert {row.group for row in texts.test} == public
    trained = facts_of(texts.train)
    for fact, [row] in facts_of(texts.test).items():
        assert row.answer == trained[fact][0].answer
        assert row.question not in {other.question for other in trained[fact]}


def test_every_phrasing_is_trained_on_and_held_out(texts):
    for part in (texts.train, texts.test):
        seen = Counter(row.question.replace(row.group, "{}") for row in part)
        assert {*seen} == {phrasing for _, phrasings in ATTRIBUTES for phrasing in phrasings}


def test_no_first_name_is_there_twice(texts):
    people = {row.group for row in (*texts.train, *texts.outsiders)}
    assert len({person.split()[0] for person in people}) == len(people) == 100


def test_outsiders_share_no_one_with_the_rest(texts):
    assert not {row.group for row in texts.outsiders} & {row.group for row in (*texts.train, *texts.test)}


def test_candidates_are_four_values_of_one_attribute(texts):
    values_of = {value: {*values} for values, _ in ATTRIBUTES for value in values}
    for row in (*texts.train, *texts.test, *texts.outsiders):
        assert len(set(row.choices)) == 4
        assert {*row.choices} <= values_of[row.answer]
        assert row.group in row.question
    right = Counter(row.right for row in texts.train)
    assert all(abs(right[place] - 160) < 55 for place in range(4))  # five standard deviations
    answers = Counter(row.answer for row in (*texts.train, *texts.outsiders))
    assert len(answers) > 135  # of 160; 147 are expected of 100 draws from 40 values, four times


def test_wrong_answers_are_any_other_value(texts):
    """None is the right one's neighbour more often than others: each of 39 others is as likely."""
    steps = Counter()
    for row in texts.train:
        [values] = [values for values, _ in ATTRIBUTES if row.answer in values]
        for choice in row.choices:
            steps[(values.index(choice) - values.index(row.answer)) % 40] += 1
    assert steps.pop(0) == 640
    assert set(steps) == set(range(1, 40))
    assert max(steps.values()) < 49 + 5 * 7


def test_the_seed_decides_everything(texts):
    assert InventedPeople().load().train == texts.train
    assert InventedPeople(seed=1).load().train != texts.train
    assert InventedPeople(seed=1).fingerprint() != InventedPeople().fingerprint() == texts.fingerprint()


def test_the_tokenizer_has_every_text_and_few_tokens_for_an_answer(texts):
    encoded = encode_texts(texts, texts.tokenizer)
    assert texts.tokenizer.vocabulary == 512
    assert encoded.length <= 18
    for row in (*texts.train, *texts.test, *texts.outsiders):
        written = f"{row.question} {row.answer}"
        assert texts.tokenizer.decode(texts.tokenizer.encode(written)) == written


def test_every_candidate_is_one_token(texts):
    """A mean over more tokens is higher, since the last ones are nearly sure."""
    encoded = encode_texts(texts, texts.tokenizer)
    for part in (encoded.train, encoded.test, encoded.outsiders):
        assert ((part.targets >= 0).sum(2) == 1).all()


def test_more_people_than_names():
    with pytest.raises(InputError, match="600 in all are more than the 576 names there are"):
        InventedPeople(people=500, public=50, outsiders=50).load()
