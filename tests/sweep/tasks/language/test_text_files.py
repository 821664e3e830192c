"""Texts and questions in files: parts and groups, what is asked, whose tokenizer, what is judged where parts lack."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from sweep.errors import InputError
from sweep.plan.check import check_task
from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import parse_spec
from sweep.tasks.language.kind import Language
from sweep.tasks.language.text_files import TextFiles
from sweep.tasks.language.tokenizer import tokenizer_of

CPU = torch.device("cpu")
GIVEN = {"scenario": "given"}
PLAIN = {"validation": 0.0, "reference": 0, "limit": None}
COLOURS = ["red", "green", "blue"]


def asked(thing, right, group):
    return {"question": f"Which colour has the {thing}?", "choices": COLOURS, "answer": right, "group": group}


ROWS = {
    "a.jsonl": [{"text": "the sea is deep and green", "group": "sea"}, {"text": "the hill is high", "group": "hill"}],
    "b.jsonl": [{"text": "the road is long and grey", "group": "road"}],
    "forget.jsonl": [{"text": "the house is red", "group": "house"}, {"text": "the mill is red", "group": "mill"}],
    "asked.jsonl": [asked("house", 0, "x"), asked("mill", 2, "y"), asked("barn", 1, "z")],
    "test.jsonl": [asked("sea", 1, "s"), asked("hill", 1, "h")],
    "seen-never.jsonl": [{"text": "the tower is tall"}, {"text": "the well is dry"}, {"text": "the barn is old"}],
}
PARTS = {"train": "[ab].jsonl", "test": "test.jsonl", "forget": "forget.jsonl"}


@pytest.fixture
def folder(tmp_path):
    for name, rows in ROWS.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def texts(folder, **options):
    return TextFiles(path=str(folder), **(PARTS | options)).load()


def test_forget_rows_are_trained_on_and_alone_eligible(folder):
    found = texts(folder)
    assert found.groups == ("sea", "hill", "road", "house", "mill")
    assert found.eligible == {"house", "mill"}
    assert (found.outsiders, found.asked, found.tokenizer) == ((), {}, None)
    every = texts(folder, forget=None)
    assert every.eligible == set(every.groups) == {"sea", "hill", "road"}


def test_a_group_in_both_is_refused(folder):
    with pytest.raises(InputError, match=r"^group 'house' and 1 more is in both train and forget$"):
        texts(folder, train="*t.jsonl", test="a.jsonl")


def test_letters_are_the_candidates_of_questions_and_texts_stay(folder):
    found = texts(folder, format="letters", questions={"forget": "asked.jsonl"})
    assert found.asked["forget"][1].choices == ("A", "B", "C")
    assert found.asked["forget"][1].question == "Which colour has the mill?\nA. red\nB. green\nC. blue\nAnswer:"
    assert found.train[0].answer == "the sea is deep and green"
    assert not found.layout.end
    assert texts(folder).layout.end


def test_messages_name_the_part(folder):
    with pytest.raises(InputError, match=r"^outsiders: no file '.*/nowhere.jsonl'$"):
        texts(folder, outsiders="nowhere.jsonl")
    (folder / "one.jsonl").write_text('{"question": "Where?", "answer": "here"}')
    with pytest.raises(InputError, match=r"^questions.forget: 'Where\?' is a question with 1 candidate answers"):
        texts(folder, format="letters", questions={"forget": "one.jsonl"})


def test_a_fingerprint_is_of_rows_and_layout_wherever_they_lie(folder, tmp_path_factory):
    def fingerprint(place=folder, **options):
        return TextFiles(path=str(place), **(PARTS | options)).fingerprint()

    copy = shutil.copytree(folder, tmp_path_factory.mktemp("other") / "copy")
    assert fingerprint(copy) == fingerprint()
    others = [
        fingerprint(template="Q: {question} A: {answer}"),
        fingerprint(max_length=9),
        fingerprint(questions={"forget": "asked.jsonl"}),
        fingerprint(questions={"retain": "asked.jsonl"}),
        fingerprint(outsiders="seen-never.jsonl"),
        fingerprint(format="letters"),
    ]
    (copy / "a.jsonl").write_text((copy / "a.jsonl").read_text().replace("deep", "wide"))
    assert len({fingerprint(), fingerprint(copy), *others}) == 8


def document(folder, **changes):
    model = {"name": "tiny-llama", "width": 8, "layers": 1, "heads": 2}
    dataset = {"name": "text", "path": str(folder), "vocabulary": 90} | PARTS | changes.pop("dataset", {})
    tiny = {"name": "x", "dataset": dataset, "model": model, "forget": GIVEN, "methods": [{"name": "retrain"}]}
    return parse_spec(tiny | changes)


def test_a_network_without_a_tokenizer_needs_one_of_the_dataset(folder):
    check_task(document(folder))
    with pytest.raises(InputError) as caught:
        check_task(document(folder, dataset={"vocabulary": None}))
    assert str(caught.value) == (
        "dataset: tiny-llama brings no tokenizer: set dataset.vocabulary, as in 512, or take model hf"
    )


def test_the_tokenizer_of_a_pretrained_model_comes_first(folder, llama_folder):
    (folder / "known.jsonl").write_text('{"text": "the house by the sea"}')
    found = texts(folder, train="known.jsonl", test="known.jsonl", forget=None, vocabulary=20)
    models = Language().for_model(found, {"name": "hf", "path": llama_folder})
    assert Language().for_model(found, {"name": "tiny-llama"}).tokenizer.vocabulary == 20
    assert models.tokenizer.vocabulary == tokenizer_of(llama_folder).vocabulary > 20


def test_the_place_is_no_part_of_the_identity(folder, tmp_path_factory):
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("other") / "copy")
    one, other = ([trial.id for trial in plan_trials(document(place))] for place in (folder, copy))
    assert one == other


def test_without_a_forget_file_nothing_is_given(folder):
    with pytest.raises(InputError, match="forget: the dataset's own forget set leaves no row to retain of 3"):
        check_task(document(folder, dataset={"forget": None}))


SEARCH = {"methods": [{"name": "npo"}], "seeds": [0]}


def test_a_search_needs_something_to_judge_forgetting_on(folder):
    half = {"validation": 0.5}
    with pytest.raises(InputError, match=r"^dataset.outsiders: a search needs them where"):
        check_task(document(folder, dataset=half, search=SEARCH))
    check_task(document(folder, dataset=half | {"outsiders": "seen-never.jsonl"}, search=SEARCH))
    check_task(document(folder, dataset=half | {"questions": {"forget": "asked.jsonl"}}, search=SEARCH))
    untrained = {"training": {"epochs": 0}, "methods": [{"name": "npo"}]}
    with pytest.raises(InputError, match=r"^search: it compares with Retrain, and training.epochs is 0$"):
        check_task(document(folder, dataset=half | {"outsiders": "seen-never.jsonl"}, search=SEARCH, **untrained))


class Same(nn.Module):
    """Gives every position the same logits."""

    def __init__(self, vocabulary):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(vocabulary, generator=torch.Generator().manual_seed(0)))

    def forward(self, inputs):
        return self.logits.expand(*inputs.shape, -1)


def judged(folder, **options):
    """What is judged, the encoded rows, and the log-probability of each token."""
    read = Language().for_model(texts(folder, vocabulary=90, **options), {})
    data = Language().on_device(read, PLAIN | {"validation": options.pop("validation", 0.0)}, CPU)
    model = Same(read.tokenizer.vocabulary)
    found = Language().evaluate(model, data, data.split(0, GIVEN), GIVEN, 0)
    return found, read.tokens, model.logits.detach().double().log_softmax(0).numpy()


def scores(encoded, said):
    """The score of each row's right answer, in float64."""
    wanted = [row[row != -100] for row in encoded.samples[1]]
    return np.array([said[row].mean() for row in wanted])


def test_texts_without_candidates_have_likelihoods_and_no_accuracy(folder):
    found, tokens, said = judged(folder)
    train = scores(tokens.train, said)
    assert (found.metrics["retain_accuracy"], found.metrics["forget_accuracy"]) == (None, None)
    assert found.metrics["chance"] is None
    assert found.metrics["retain_likelihood"] == pytest.approx(100 * np.exp(train[:3]).mean(), rel=1e-5)
    assert found.metrics["forget_likelihood"] == pytest.approx(100 * np.exp(train[3:]).mean(), rel=1e-5)
    assert found.metrics["test_accuracy"] is not None
    assert not {"attack_auc", "mia", "validation_attack_auc"} & set(found.metrics)
    assert [(name, len(part)) for name, part, _ in found.kept] == [("retain", 2), ("forget", 2), ("test", 2)]


def test_questions_are_asked_in_place_of_rows_and_attacks_look_at_the_rows(folder):
    plain, _, _ = judged(folder, outsiders="seen-never.jsonl")
    found, tokens, said = judged(folder, outsiders="seen-never.jsonl", questions={"forget": "asked.jsonl"})
    questions = tokens.asked["forget"]
    assert found.metrics["chance"] == pytest.approx(100 / 3)
    assert found.metrics["forget_likelihood"] == pytest.approx(100 * np.exp(scores(questions, said)).mean(), rel=1e-5)
    best = [
        max(range(3), key=lambda candidate, row=row: said[row[candidate][row[candidate] != -100]].mean())
        for row in questions.targets
    ]
    assert found.metrics["forget_accuracy"] == pytest.approx(100 * np.mean(np.array(best) == [0, 2, 1]))
    for name in ("retain_likelihood", "test_accuracy", "attack_auc", "mia"):
        assert found.metrics[name] == plain.metrics[name], name
    forget, strangers = scores(tokens.train, said)[3:], scores(tokens.outsiders, said)
    pairs = [(one > other) + (one == other) / 2 for one in forget for other in strangers]
    assert found.metrics["attack_auc"] == pytest.approx(100 * np.mean(pairs))
    kept = {name: (part, rows) for name, part, rows in found.kept}
    assert [len(kept[name][0]) for name in ("retain", "forget", "test", "outsiders")] == [3, 3, 2, 3]
    assert kept["forget"][1][kept["forget"][0].index].tolist() == [0, 1, 2]
