"""Rows to token ids, with a tokenizer whose ids can be read: its pieces, longest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from sweep.errors import InputError
from sweep.tasks.language.encoding import IGNORED, encode_rows, encode_texts
from sweep.tasks.language.texts import Layout, Row, Texts


@dataclass(frozen=True)
class Pieces:
    """Reads the longest piece that fits, again and again; the id of a piece is its place in the list."""

    pieces: Sequence[str]
    end: int | None = None
    begin: tuple[int, ...] = ()

    @property
    def vocabulary(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        ids = [*self.begin]
        while text:
            piece = max((piece for piece in self.pieces if text.startswith(piece)), key=len)
            ids.append(self.pieces.index(piece))
            text = text[len(piece) :]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.pieces[number] for number in ids)

    def fingerprint(self) -> str:
        return "pieces"


LETTERS = Pieces(["<end>", "a", "b", "c", " ", "a "], end=0)


def read(tokenizer: Pieces, ids: Sequence[int]) -> str:
    return "".join("." if number == IGNORED else tokenizer.pieces[number] for number in ids)


def test_the_answer_and_the_end_are_targets_one_place_earlier():
    encoded = encode_rows([Row("b", ("c", "bc"), 1)], LETTERS, Layout("{question}={answer}".replace("=", "c")), "train")
    assert encoded.inputs.tolist() == [[[2, 3, 3, 0, 0], [2, 3, 2, 3, 0]]]
    assert encoded.targets.tolist() == [[[-100, 3, 0, -100, -100], [-100, 2, 3, 0, -100]]]
    assert encoded.right.tolist() == [1]
    inputs, targets = encoded.samples
    assert (inputs.tolist(), targets.tolist()) == ([[2, 3, 2, 3, 0]], [[-100, 2, 3, 0, -100]])
    assert inputs.dtype == targets.dtype == np.int64


def test_the_answer_begins_where_prompt_and_whole_differ_not_where_the_prompt_is_as_long():
    """Alone the prompt is `b`, `a`; with its answer `b`, `a `, `c`: the answer is two tokens, not one."""
    assert LETTERS.encode("ba") == [2, 1]
    assert LETTERS.encode("ba c") == [2, 5, 3]
    layout = Layout("{question}{answer}", end=False)
    [[targets]] = encode_rows([Row("ba", (" c",))], LETTERS, layout, "train").targets
    assert read(LETTERS, targets) == "a c."
    assert targets.tolist() == [5, 3, -100]


def test_a_template_surrounds_the_question_whatever_it_contains():
    layout = Layout("c{question} {answer}", end=False)
    pieces = Pieces([*LETTERS.pieces, "{question}", "{answer}"])
    encoded = encode_rows([Row("{answer}", ("{question}",))], pieces, layout, "train")
    assert read(pieces, encoded.inputs[0, 0]) == "c{answer} {question}"
    assert read(pieces, encoded.targets[0, 0]) == "..{question}."


def test_a_token_before_every_text_is_part_of_the_prompt():
    begins = Pieces(LETTERS.pieces, end=0, begin=(0,))
    encoded = encode_rows([Row("", ("b",))], begins, Layout("{question}{answer}", end=False), "train")
    assert encoded.inputs.tolist() == [[[0, 2]]]
    assert encoded.targets.tolist() == [[[2, -100]]]


def test_an_answer_that_nothing_comes_before_is_predicted_from_its_first_token_on():
    encoded = encode_rows([Row("", ("bc",))], LETTERS, Layout("{question}{answer}", end=False), "train")
    assert encoded.targets.tolist() == [[[3, -100]]]


def test_a_plain_text_is_predicted_after_its_prompt_tokens_and_cut():
    rows = [Row(None, ("abcabc", "bbbbcb", "ccc"))]
    [encoded] = encode_rows(rows, LETTERS, Layout(max_length=5, prompt_tokens=2), "train").targets
    assert [read(LETTERS, row) for row in encoded] == [".cab.", ".bbc.", ".c<end>.."]
    [inputs] = encode_rows(rows, LETTERS, Layout(max_length=5, prompt_tokens=2), "train").inputs
    assert [read(LETTERS, row) for row in inputs] == ["abcab", "abbbc", "abc<end><end>"]
    [[whole]] = encode_rows([Row(None, ("abc",))], LETTERS, Layout(), "train").targets
    assert read(LETTERS, whole) == "bc<end>."


def test_all_parts_of_a_data_set_are_as_wide_as_the_longest_candidate():
    texts = Texts((Row("b", ("c",)),), (Row("b", ("c", "cccc")),), (Row("b", ("cc",)),), frozenset())
    encoded = encode_texts(texts, LETTERS)
    assert encoded.length == 7
    assert [part.inputs.shape for part in (encoded.train, encoded.test, encoded.outsiders)] == [
        (1, 1, 7),
        (1, 2, 7),
        (1, 1, 7),
    ]
    np.testing.assert_array_equal(encoded.train.inputs[..., :4], encode_rows(texts.train, LETTERS, Layout(), "").inputs)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "train has no rows"),
        (
            [Row("a", ("b",)), Row("abc", ("abc",))],
            "train, row 1 (from 0): question and answer are 7 tokens, more than",
        ),
        ([Row("a", ("b", " "))], "train, row 0 (from 0): an answer is empty"),
        ([Row("", ("b",))], "train, row 0 (from 0): an answer adds no token to its prompt"),
        ([Row(None, ("b",))], "train, row 0 (from 0): a text has no token after its first 1"),
        ([Row("a", ("b",)), Row("a", ("b", "c"))], "row 1 (from 0): candidate answers are 2, but 1 of row 0"),
    ],
    ids=["no rows", "long", "empty", "one token", "short text", "candidates"],
)
def test_rows_that_cannot_be_encoded(rows, message):
    template = "{question}{answer}" if rows == [Row("", ("b",))] else "{question} {answer}"
    with pytest.raises(InputError) as caught:
        encode_rows(rows, Pieces(LETTERS.pieces[1:]), Layout(template, max_length=6), "train")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("template", ["{answer}", "{question} {answer}.", "{answer} {question} {answer}", "{question}"])
def test_a_template_without_a_question_or_with_more_after_the_answer(template):
    with pytest.raises(InputError, match=r"must contain \{question\} and end with \{answer\}"):
        Layout(template)


@pytest.mark.parametrize("tokens", [0, 512])
def test_prompt_tokens_leave_something_to_predict(tokens):
    with pytest.raises(InputError, match="is not from 1 to below max_length 512"):
        Layout(prompt_tokens=tokens)


def test_groups_are_numbered_as_they_appear():
    rows = tuple(Row("q", ("a",), group=group) for group in ("zoe", "adam", "zoe"))
    texts = Texts(rows, rows, rows, frozenset({"adam"}))
    assert texts.groups == ("zoe", "adam")
    assert texts.group_numbers.tolist() == [0, 1, 0]


def test_a_fingerprint_tells_rows_parts_layouts_and_who_may_be_forgotten():
    one, two = (Row("q", ("a", "b"), 0, "g"),), (Row("q", ("a", "b"), 1, "g"),)
    base = Texts(one, two, two, frozenset({"g"}))
    others = [
        base,
        Texts(two, one, two, frozenset({"g"})),
        Texts(one, two, two, frozenset()),
        Texts(one, two, two, frozenset({"g"}), Layout(end=False)),
        Texts(one, two, two, frozenset({"g"}), tokenizer=LETTERS),
        Texts(one, two, (Row(None, ("a", "b"), 1, "g"),), frozenset({"g"})),
    ]
    assert len({texts.fingerprint() for texts in others}) == len(others)
    assert base.fingerprint() == Texts(one, two, two, frozenset({"g"})).fingerprint()
