"""The command `list` in a terminal of 80 columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields

import pytest

from analysis.audit.scores import SCORES
from methods import METHODS
from sweep.cli.listing import datasets, kinds, methods, metrics, models, presets
from sweep.errors import InputError
from sweep.spec.spec_file import presets as shipped
from sweep.store.metrics import FURTHER, KINDS
from sweep.tasks.datasets import DATASETS
from sweep.tasks.models import MODELS


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """(names) -> the lines that are printed, of which none is wider than the terminal."""

    def run(*names: str) -> list[str]:
        monkeypatch.setenv("COLUMNS", "80")
        methods([*names])
        lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert [line for line in lines if len(line) > 80] == []
        return lines

    return run


def entries(lines: list[str]) -> dict[str, tuple[str, str]]:
    """By the first word of each line that is not indented: the line, and what stands indented below it."""
    text = "\n".join(line for line in lines if line)
    parts = re.findall(r"^(\S+)(.*)((?:\n    .*)*)", text, flags=re.M)
    return {name: (name + rest, " ".join(below.split())) for name, rest, below in parts}


def test_every_method_has_a_line_of_what_it_is_and_below_it_its_whole_cost(shown: Callable[..., list[str]]) -> None:
    found = entries(shown())
    titles, cost = found["method"]
    assert cost == "passes"
    for name, method in METHODS.items():
        head, cost = found[name]
        assert head[titles.index("family") :].startswith(f"{method.family} ")
        assert head[titles.index("reads") :] == method.needs
        assert cost == method.cost


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_described_in_all_its_words(shown: Callable[..., list[str]], name: str) -> None:
    method, lines = METHODS[name], shown(name)
    told = " ".join(lines).split()
    kinds = " and ".join(method.kinds or ["data sets of any kind"])
    assert " ".join(told).startswith(
        f"{name} {method.source} for {kinds}; reads {method.needs}; passes: {method.cost} "
    )
    words = [word.replace("*Impair*", "Impair").replace("*Repair*", "Repair") for word in method.__doc__.split()]
    rest = iter(told)
    assert [word for word in words if word != "*" and word.rstrip(".") not in "123" and word not in rest] == []
    found = entries(lines)
    for item in fields(method):
        head, meaning = found[item.name]
        assert head.split()[1] == ("null" if item.default is None else str(item.default).split()[0])
        assert meaning == item.metadata["meaning"]


def test_paragraphs_fill_the_width_and_formulas_stay_lines(shown: Callable[..., list[str]]) -> None:
    lines = [line.strip() for line in shown("uam")]
    assert "w <- w - eta (I - gamma P_f) v." in lines
    start = lines.index("With g = grad L_f(w), u = g / |g|, P_f = u u^T and v = grad L_r(w + d), the")
    assert lines[start + 1] == "update is equation (15) of the paper as public text restates it,"
    (choice,) = (line for line in lines if line.startswith("hessian  "))
    assert choice.split(maxsplit=2)[1:] == ["projection", "none | projection | scalar | exact"]
    (rho,) = (line for line in lines if line.startswith("rho  "))
    assert rho.split(maxsplit=2)[1:] == ["2.0", "0.1 to 8, log"]


def test_every_metric_of_each_kind_and_every_score_is_named_with_its_meaning_and_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    metrics()
    parts = re.split(r"^(\w+)$", capsys.readouterr().out, flags=re.M)[1:]
    assert parts[::2] == [*KINDS, "score"]
    found = entries(parts[-1].splitlines())
    expected = {each.name: [each.name, *each.label.split()] for each in SCORES}
    assert {name: head.split() for name, (head, _) in found.items()} == expected
    assert [meaning for _, meaning in found.values()] == [f"{each.words}; {each.unit}".strip("; ") for each in SCORES]
    for kind, text in zip(KINDS, parts[1::2], strict=False):
        found = entries(text.splitlines())
        further = FURTHER.get(kind, ())
        assert list(found) == [metric.column for metric in (*KINDS[kind], *further)]
        for metric in (*KINDS[kind], *further):
            head, meaning = found[metric.column]
            assert head.split() == [metric.column, metric.label]
            assert meaning == f"{metric.words}; {metric.unit}" + ("; in the column other" if metric in further else "")


@pytest.mark.parametrize(
    ("name", "kinds_of"), [("test_error", ["regression"]), ("MIA", [*KINDS]), (SCORES[0].name, ["score"])]
)
def test_a_metric_that_is_named_stands_there_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, kinds_of: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    metrics([name])
    found = entries(capsys.readouterr().out.splitlines())
    heads = {name: head.split() for name, (head, _) in found.items()}
    assert [each for each in heads if each in {*KINDS, "score"}] == kinds_of
    assert all(name in head for each, head in heads.items() if each not in kinds_of)
    assert len(heads) == len(kinds_of) + 1


Printed = Callable[..., list[str]]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """(command, names) -> the lines that are printed."""

    def run(command: Callable[[list[str]], None], *names: str) -> list[str]:
        monkeypatch.setenv("COLUMNS", "80")
        command([*names])
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.mark.parametrize(
    ("command", "names"),
    [(presets, shipped()), (datasets, DATASETS), (models, MODELS), (kinds, KINDS)],
    ids=["presets", "datasets", "models", "kinds"],
)
def test_everything_that_can_be_named_stands_there_with_what_it_is(
    printed: Printed, command: Callable[[list[str]], None], names: dict[str, object]
) -> None:
    found = entries(printed(command))
    assert {*names} <= {*found}
    assert [name for name in names if len(found[name][1]) < 10] == []


def test_a_preset_is_printed_as_it_is(printed: Printed) -> None:
    assert printed(presets, "digits") == [line.rstrip() for line in (shipped()["digits"] + "\n").splitlines()]


def test_a_data_set_is_described_with_its_own_options_and_those_of_its_kind(printed: Printed) -> None:
    own, _, shared = "\n".join(printed(datasets, "folder")).partition("and, as any of its kind:")
    found = entries(own.splitlines()) | entries(shared.splitlines())
    assert found["path"] == (
        "path         required",
        "directory or URI with a folder of training and one of test images",
    )
    assert found["grayscale"][0].split()[1] == "false"
    assert found["label_noise"][0].split()[1] == "0.0"
    assert found["limit"][0].split()[1] == "null"


def test_a_network_is_described_with_its_options(printed: Printed) -> None:
    assert entries(printed(models, "small-cnn"))["width"][0].split() == ["width", "32"]
    assert "torchvision's vgg11, with random weights." in printed(models, "vgg11")


def test_a_kind_is_described_with_its_forget_sets_data_sets_and_metrics(printed: Printed) -> None:
    lines = printed(kinds, "regression")
    assert "forget sets: random, range, rows" in lines
    assert "data sets: diabetes, table, rated-images" in lines
    assert {metric.column for metric in KINDS["regression"]} <= {*entries(lines)}


@pytest.mark.parametrize(
    ("command", "plugin", "words"),
    [
        (methods, "plugin_examples:Raises", "Raises in each of its first `times` runs."),
        (datasets, "plugin_examples:Stripes", ""),
        (models, "plugin_examples:tied", ""),
        (kinds, "sweep.tasks.regression:Regression", "Inputs, and a number for each sample."),
    ],
    ids=["methods", "datasets", "models", "kinds"],
)
def test_plugins_are_described_too(
    printed: Printed, command: Callable[[list[str]], None], plugin: str, words: str
) -> None:
    text = " ".join(printed(command, plugin))
    assert text.startswith(plugin)
    assert words.replace("`", "") in text.replace("`", "")


@pytest.mark.parametrize(
    ("command", "name", "message"),
    [
        (presets, "digit", "unknown preset 'digit'; did you mean 'digits'?"),
        (datasets, "digit", "unknown dataset 'digit'; did you mean 'digits'?"),
        (models, "resnet9", "unknown model 'resnet9'; did you mean 'resnet"),
        (kinds, "regresion", "unknown kind of task 'regresion'; did you mean 'regression'?"),
        (kinds, "plugin_examples:Raises", "is not a subclass of sweep.tasks.kind.Kind"),
        (methods, "my_methods.Uniform", "unknown method 'my_methods.Uniform'; a plugin is written my_methods:Uniform"),
        (models, "my.models.wide", "unknown model 'my.models.wide'; a plugin is written my.models:wide"),
        (metrics, "forget_acuracy", "unknown metric 'forget_acuracy'; did you mean 'forget_accuracy'?"),
    ],
)
def test_a_name_that_is_none_is_one_line(command: Callable[[list[str]], None], name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        command([name])
    assert message in str(caught.value)
