"""Language as a kind of task: groups forgotten, what is judged, the recipe, the attack against outsiders."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch
from torch import nn

from sweep.errors import InputError
from sweep.plan.check import check_task
from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import parse_spec
from sweep.store.metrics import FURTHER
from sweep.tasks.evaluation import Predictions
from sweep.tasks.language.invented_people import InventedPeople
from sweep.tasks.language.kind import Language, TextTraining, attack_auc, right_scores
from sweep.tasks.language.scoring import likelihood

CPU = torch.device("cpu")
PEOPLE = InventedPeople(people=6, public=4, outsiders=5)
PLAIN = {"validation": 0.0, "reference": 0, "limit": None}
RANDOM = {"scenario": "random", "ratio": 0.34}


@pytest.fixture(scope="module")
def read():
    return Language().for_model(PEOPLE.load(), {})


@pytest.fixture(scope="module")
def data(read):
    return Language().on_device(read, PLAIN, CPU)


def test_people_are_forgotten_as_a_whole_and_never_public_ones(data, read):
    for seed in range(5):
        parts = data.split(seed, RANDOM)
        groups = [read.texts.train[row].group for row in parts.forget]
        assert len(set(groups)) == 2
        assert set(groups) <= read.texts.eligible
        assert set(groups).isdisjoint(read.texts.train[row].group for row in parts.retain)
        assert sorted([*parts.retain, *parts.forget]) == list(range(len(read.texts.train)))


def test_larger_forget_sets_contain_smaller_ones_of_the_same_seed(data):
    small, large = (set(data.split(3, {"scenario": "random", "ratio": ratio}).forget) for ratio in (0.2, 0.7))
    assert small < large
    assert small != set(data.split(4, {"scenario": "random", "ratio": 0.2}).forget)


def test_one_person_may_be_named_and_all_may_be_given(data, read):
    name = sorted(read.texts.eligible)[2]
    found = data.split(0, {"scenario": "group", "group": name}).forget
    assert {read.texts.train[row].group for row in found} == {name}
    given = data.split(0, {"scenario": "given"}).forget
    assert {read.texts.train[row].group for row in given} == read.texts.eligible
    with pytest.raises(InputError, match="forget: no group 'Nobody'"):
        data.split(0, {"scenario": "group", "group": "Nobody"})
    with pytest.raises(InputError, match=r"forget: ratio 0.01 of 6 groups leaves no row to forget of 80"):
        data.split(0, {"scenario": "random", "ratio": 0.01})


def test_a_search_has_test_rows_and_outsiders_of_its_own(read):
    splits = Language().on_device(read, PLAIN | {"validation": 0.25}, CPU).splits
    kept, held = splits.judges(0)
    for name, count in (("test", 16), ("outsiders", 40)):
        assert len(held[name]) == count // 4
        assert sorted([*kept[name], *held[name]]) == list(range(count))
    assert splits.judges(1)[1]["test"].tolist() != held["test"].tolist()


class Same(nn.Module):
    """Gives every position the same logits."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(vocabulary, generator=torch.Generator().manual_seed(0)))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(*inputs.shape, -1)


def test_metrics_follow_from_the_scores_of_candidates(data, read):
    parts = data.split(0, RANDOM)
    model = Same(read.tokenizer.vocabulary)
    judged = Language().evaluate(model, data, parts, RANDOM, 0)
    said = model.logits.detach().double().log_softmax(0).numpy()

    def score(encoded, row, candidate):
        wanted = [target for target in encoded.targets[row, candidate] if target != -100]
        return np.mean([said[target] for target in wanted])

    def expected(encoded, rows):
        scores = np.array([[score(encoded, row, each) for each in range(encoded.inputs.shape[1])] for row in rows])
        right = encoded.right[rows]
        own = scores[np.arange(len(rows)), right]
        return 100 * (scores.argmax(axis=1) == right).mean(), 100 * np.exp(own).mean(), own

    tokens = read.tokens
    own = {}
    for name, encoded, rows in (
        ("retain", tokens.train, parts.retain),
        ("forget", tokens.train, parts.forget),
        ("test", tokens.test, np.arange(16)),
        ("outsiders", tokens.outsiders, np.arange(40)),
    ):
        accuracy, probability, own[name] = expected(encoded, rows)
        if name != "outsiders":
            assert judged.metrics[f"{name}_accuracy"] == pytest.approx(accuracy, abs=1e-6), name
            assert judged.metrics[f"{name}_likelihood"] == pytest.approx(probability, rel=1e-5), name
    pairs = [(one > other) + (one == other) / 2 for one in own["forget"] for other in own["outsiders"]]
    assert judged.metrics["attack_auc"] == pytest.approx(100 * np.mean(pairs), abs=1e-6)
    assert "validation_accuracy" not in judged.metrics
    assert [name for name, _, _ in judged.kept] == ["retain", "forget", "test", "outsiders"]
    assert {metric.column for metric in (*Language.metrics, *FURTHER["language"])} >= set(judged.metrics)


@pytest.mark.parametrize("forget", [RANDOM, RANDOM | {"fold": 1}])
def test_rows_that_are_held_out_are_kept_and_all_retain_rows_on_demand(read, forget):
    data = Language().on_device(read, PLAIN | {"validation": 0.25}, CPU)
    judged = {}
    for seed in (0, 1):
        parts = data.split(seed, forget)
        judged[seed] = Language().evaluate(Same(read.tokenizer.vocabulary), data, parts, forget, seed)
        kept = {name: rows[part.index].tolist() for name, part, rows in judged[seed].kept}
        held = data.splits.judges(seed)[1]
        assert kept["validation"] == held["test"].tolist()
        assert kept["validation_outsiders"] == held["outsiders"].tolist()
        every = {name: rows[part.index].tolist() for name, part, rows in judged[seed].wanted("all")}
        assert every == kept | {"retain": parts.retain.tolist()}
        assert len(kept["retain"]) == 30 < len(parts.retain)
        assert set(kept["retain"]) <= set(parts.retain)
        assert [name for name, _, _ in judged[seed].wanted("forget")] == ["forget"]
    one, other = ({name: part.index.tolist() for name, part, _ in judged[seed].kept} for seed in (0, 1))
    assert (one["retain"] == other["retain"]) == ("fold" in forget)


def scored(*scores: float) -> Predictions:
    """Rows of two candidates, the second of which is right."""
    outputs = torch.tensor([[-9.0, score] for score in scores])
    return Predictions(torch.arange(len(scores)), torch.ones(len(scores), dtype=torch.int64), outputs)


def test_the_attack_is_right_as_often_as_forget_rows_score_above_outsiders():
    assert attack_auc(scored(-1, -2), scored(-3, -4)) == 100
    assert attack_auc(scored(-5), scored(-3, -4)) == 0
    assert attack_auc(scored(-1, -5), scored(-3)) == 50
    assert attack_auc(scored(-3), scored(-3)) == 50
    assert right_scores(scored(-1, -2)).tolist() == [-1, -2]
    assert likelihood(right_scores(scored(math.log(0.5), math.log(0.1)))) == pytest.approx(30)


def test_the_learning_rate_rises_and_then_falls():
    parameter = nn.Parameter(torch.zeros(1))
    recipe = TextTraining(lr=1.0, warmup=0.2)
    optimizer = recipe.optimizer([parameter])
    scheduler = recipe.scheduler(optimizer, 20)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[:5] == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5, 1])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[4:] == pytest.approx([(1 + math.cos(math.pi * step / 16)) / 2 for step in range(16)])
    constant = TextTraining(lr=1.0, warmup=0.0, schedule="constant")
    optimizer = constant.optimizer([parameter])
    constant.scheduler(optimizer, 5)
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_long_gradients_are_shortened_and_short_ones_kept():
    parameter = nn.Parameter(torch.zeros(2))
    for clip, given, expected in (
        (1.0, [3.0, 4.0], [0.6, 0.8]),
        (1.0, [0.3, 0.4], [0.3, 0.4]),
        (None, [3.0, 4.0], [3, 4]),
    ):
        parameter.grad = torch.tensor(given)
        TextTraining(clip=clip).limit_gradients([parameter])
        assert parameter.grad.tolist() == pytest.approx(expected, rel=1e-5)


def test_methods_take_steps_of_adamw_with_momentum_as_beta_1():
    parameter = nn.Parameter(torch.ones(1))
    optimizer = Language().optimizer([parameter], lr=0.1, momentum=0.8, weight_decay=0.5)
    parameter.grad = torch.tensor([2.0])
    optimizer.step()
    # decay: 1 - 0.1 * 0.5; then a step of lr along the sign, as both moments are corrected for their start
    assert parameter.item() == pytest.approx(0.95 - 0.1, rel=1e-6)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.999)


def document(**changes):
    people = {"name": "invented-people", "people": 6, "public": 4, "outsiders": 5}
    model = {"name": "tiny-llama", "width": 8, "layers": 1, "heads": 2}
    tiny = {"name": "x", "dataset": people, "model": model, "forget": RANDOM, "methods": [{"name": "retrain"}]}
    return parse_spec(tiny | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": [{"name": "fisher"}]}, "methods.0: fisher is for classification; invented-people is language"),
        ({"model": {"name": "small-cnn"}}, "model: small-cnn cannot be used on rows of"),
        ({"model": {"name": "tiny-llama", "width": 9}}, "model: tiny-llama cannot be used .* width 9 is no multiple"),
        ({"forget": {"scenario": "class", "class": 1}}, "language has random and group and given and rows, not class"),
        ({"forget": {"scenario": "group", "group": "me"}}, "forget: no group 'me'"),
        ({"forget": {"scenario": "group"}}, "scenario: group needs 'group', a group or a list of them"),
        ({"dataset": {"name": "invented-people", "limit": 4}}, "dataset.limit"),
        ({"dataset": {"name": "invented-people", "people": 700}}, "740 in all are more than"),
        ({"training": {"nesterov": True}}, "training.nesterov: unknown key"),
        ({"training": {"epochs": 0}}, "methods.0: retrain trains with the recipe, and training.epochs is 0"),
        ({"training": {"epochs": 0}, "methods": [{"name": "sisa"}]}, "methods.0: sisa trains with the recipe"),
        ({"dataset": {"name": "invented-people", "validation": 0.999}}, "dataset.validation: all of 80 test rows"),
        ({"methods": [], "search": {"methods": [{"name": "npo"}], "seeds": [0]}}, "dataset.validation"),
    ],
)
def test_what_language_does_not_have_is_refused_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        check_task(document(**changes))
    assert "\n" not in str(caught.value)


def test_without_epochs_methods_start_from_the_network_as_it_is():
    spec = document(training={"epochs": 0}, methods=[{"name": "npo", "epochs": 1}, {"name": "original"}])
    check_task(spec)
    assert {trial.original_id for trial in plan_trials(spec)} == {None}
    assert None not in {trial.original_id for trial in plan_trials(document(methods=[{"name": "npo"}]))}


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "transformers" else find_spec(name))
    with pytest.raises(InputError, match=r"^dataset.name: invented-people needs transformers: pip install 'unlearn-"):
        document()
    parse_spec({"name": "x", "methods": [{"name": "retrain"}]})
