"""Paragraphs of Python's manual."""

from __future__ import annotations

from itertools import chain
from pydoc_data.topics import topics

import pytest

from sweep.errors import InputError
from sweep.tasks.language.encoding import encode_texts
from sweep.tasks.language.python_manual import PythonManual


@pytest.fixture(scope="module")
def texts():
    return PythonManual().load()


def test_sizes(texts):
    assert (len(texts.train), len(texts.test), len(texts.outsiders)) == (60, 20, 20)
    small = PythonManual(paragraphs=5, test=2, outsiders=1).load()
    assert (len(small.train), len(small.test), len(small.outsiders)) == (5, 2, 1)


def test_a_paragraph_is_a_group_that_may_be_forgotten(texts):
    assert len(texts.groups) == 60
    assert texts.eligible == set(texts.groups)


def test_paragraphs_stand_in_the_manual_and_none_twice(texts):
    manual = " ".join(" ".join(content.split()) for content in topics.values())
    paragraphs = [row.answer for row in (*texts.train, *texts.test, *texts.outsiders)]
    assert all(paragraph in manual for paragraph in paragraphs)
    assert len(set(paragraphs)) == 100


def test_other_continuations_are_of_paragraphs_in_no_part(texts):
    rows = (*texts.train, *texts.test, *texts.outsiders)
    parts = {row.answer for row in rows}
    wrong = [*chain.from_iterable({*row.choices} - {row.answer} for row in rows)]
    assert len(wrong) == 300
    assert not parts & {*wrong}
    assert {row.right for row in rows} == {0, 1, 2, 3}


def test_ninety_six_tokens_of_which_the_first_sixteen_are_given(texts):
    encoded = encode_texts(texts, texts.tokenizer)
    assert encoded.length == 96
    for part in (encoded.train, encoded.test, encoded.outsiders):
        assert ((part.targets >= 0).sum(-1) == 80).all()
        assert (part.targets[..., 15:95] >= 0).all()
        assert (part.inputs[..., :16] == part.inputs[:, :1, :16]).all()  # all candidates continue one prompt
        assert (part.inputs[..., 16:] != part.inputs[:, :1, 16:]).any((0, 2))[1:].all()


def test_the_seed_chooses(texts):
    assert PythonManual().load().train == texts.train
    assert not {*PythonManual(seed=1).load().groups} <= {*texts.groups}
    assert PythonManual(seed=1).fingerprint() != PythonManual().fingerprint()


def test_another_manual_is_another_data_set(monkeypatch):
    before = PythonManual().fingerprint()
    topic = next(topic for topic, content in topics.items() if "dictionary" in content)
    monkeypatch.setitem(topics, topic, topics[topic].replace("dictionary", "lexicon"))
    assert PythonManual().fingerprint() != before


@pytest.mark.parametrize("options", [{"paragraphs": 1000}, {"tokens": 2000, "paragraphs": 1}])
def test_more_than_the_manual_has(options):
    with pytest.raises(InputError, match=r"Python's manual has \d+ paragraphs of \d+ tokens, not"):
        PythonManual(**options).load()


def test_prompts_leave_something_to_continue():
    with pytest.raises(InputError, match="prompt_tokens 96 is not from 1 to below max_length 96"):
        PythonManual(prompt=96).load()
