"""`list methods` and `list metrics` in a terminal of 80 columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields

import pytest

from analysis.audit.scores import SCORES
from methods import METHODS
from sweep.cli.listing import methods, metrics
from sweep.store.metrics import FURTHER, KINDS


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
