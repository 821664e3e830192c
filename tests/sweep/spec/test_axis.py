"""Axes of a spec: ranges, and hyperparameters that vary together."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from sweep.errors import InputError
from sweep.plan.check import check_task
from sweep.plan.trials import plan_trials
from sweep.spec.axis import LONGEST, numbers_of
from sweep.spec.plugins import find_method
from sweep.spec.schema import spec_schema
from sweep.spec.sweep_spec import parse_spec


def document(**changes):
    tiny = {
        "name": "tiny",
        "dataset": {"name": "digits", "limit": 200},
        "seeds": [0],
        "methods": [{"name": "finetune"}],
    }
    return tiny | changes


def ids(**changes):
    return [trial.id for trial in plan_trials(parse_spec(document(**changes)))]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("range(3)", [0, 1, 2]),
        ("range(2, 5)", [2, 3, 4]),
        ("range(0,10,4)", [0, 4, 8]),
        ("range(5, 0, -2)", [5, 3, 1]),
        ("range(0.1, 0.5, 0.1)", [0.1, 0.2, 0.3, 0.4]),  # sums of floats would give 0.30000000000000004
        ("range(0.5, 2)", [0.5, 1.5]),
        ("range(1, 2.0)", [1.0]),
        ("range(1e-3, 3e-3, 1e-3)", [0.001, 0.002]),
    ],
)
def test_a_range_counts_as_pythons_does_and_has_the_numbers_of_a_list(text, numbers):
    found = numbers_of(text)
    assert found == numbers
    assert [type(number) for number in found] == [type(number) for number in numbers]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("range(3, 1)", r"range\(3, 1\) holds no number"),
        ("range(1, 3, -1)", "holds no number"),
        ("range(1, 3, 0)", "the step is 0"),
        (f"range({LONGEST + 1})", f"holds {LONGEST + 1} numbers; at most {LONGEST} are allowed"),
        ("range(0, 1e999)", "is no range; write range"),
        ("range(a)", "is no range; write range"),
        ("range(3)\n", "is no range; write range"),
        ("range(\u0663)", "is no range; write range"),
        ("range(1, 2, 3, 4)", "is no range; write range"),
        ("range(0.5", r'\(between \{ \} in quotes: "range'),
    ],
)
def test_what_is_no_range_is_one_line(text, message):
    with pytest.raises(InputError, match=f"^seeds: .*{message}") as caught:
        parse_spec(document(seeds=text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"seeds": "range(0, 3)"}, {"seeds": [0, 1, 2]}),
        ({"seeds": range(0, 5, 2)}, {"seeds": [0, 2, 4]}),
        ({"forget": {"ratio": "range(0.1, 0.4, 0.1)"}}, {"forget": {"ratio": [0.1, 0.2, 0.3]}}),
        ({"forget": {"scenario": "class", "class": "range(2)"}}, {"forget": {"scenario": "class", "class": [0, 1]}}),
        (
            {"methods": [{"name": "uam", "rho": "range(0.5, 4, 0.5)"}]},
            {"methods": [{"name": "uam", "rho": [0.5, 1, 1.5, 2, 2.5, 3, 3.5]}]},
        ),
        (
            {"methods": [{"name": "uam", "gamma": [0, 1], "zip": {"rho": [1, 2, 4], "epochs": "range(10, 40, 10)"}}]},
            {
                "methods": [
                    {"name": "uam", "gamma": [0, 1], "rho": rho, "epochs": epochs}
                    for rho, epochs in ((1, 10), (2, 20), (4, 30))
                ]
            },
        ),
    ],
    ids=["seeds", "Python's range", "ratio", "class", "hyperparameter", "zip"],
)
def test_what_is_written_short_gives_the_trials_of_what_is_written_out(short, long):
    assert ids(**short) == ids(**long)
    written = yaml.safe_load(parse_spec(document(**short)).to_yaml())
    assert ids(**{key: written[key] for key in short}) == ids(**long)
    assert "range" not in str(written)
    assert "zip" not in str(written)


ZIPPED = {"rho": [1, 2], "epochs": [5, 6]}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"zip": {"rho": [1, 2], "epochs": [5]}}, "methods.0.zip: all need as many values: rho has 2, epochs has 1"),
        ({"zip": {"rhoo": [1, 2]}}, "methods.0.zip.rhoo: unknown key; did you mean 'rho'?"),
        ({"zip": {"rho": [1, "x"]}}, "methods.0.zip.rho.1: should be a valid number, not 'x'"),
        ({"zip": {"rho": [1, -2]}}, "methods.0.zip.rho.1: should be greater than or equal to 0, not -2"),
        ({"zip": ZIPPED, "rho": 3}, "methods.0.zip.rho: stands beside zip too; leave out one of the two"),
        ({"zip": {}}, "methods.0.zip: names no hyperparameter"),
        ({"zip": [1]}, "methods.0.zip: should be a mapping, not [1]"),
    ],
)
def test_what_cannot_vary_together_is_one_line(entry, message):
    with pytest.raises(InputError) as caught:
        parse_spec(document(methods=[{"name": "uam"} | entry]))
    assert str(caught.value) == message


def test_a_method_that_refuses_what_is_zipped_is_named_by_where_it_stands_in_the_spec():
    refusing = {"name": "rum", "inner": "[retrain, finetune]", "epochs": 1, "zip": {"lr": [0.1, 0.2]}}
    with pytest.raises(InputError, match=r"^methods\.1: "):
        check_task(parse_spec(document(methods=[{"name": "uam", "zip": ZIPPED}, refusing])))


def test_a_hyperparameter_called_zip_is_refused():
    with pytest.raises(InputError, match="has a hyperparameter 'zip', a word of specs; give it another name"):
        find_method("plugin_examples:Zipped")


@pytest.fixture(scope="module")
def schema():
    return spec_schema()


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({"seeds": "range(0, 3)"}, True),
        ({"seeds": "range(0, x)"}, False),
        ({"forget": {"ratio": "range(0.1, 0.4, 0.1)"}}, True),
        ({"methods": [{"name": "uam", "rho": "range(1, 3)"}]}, True),
        ({"methods": [{"name": "uam", "zip": ZIPPED}]}, True),
        ({"methods": [{"name": "uam", "zip": {"rhoo": [1]}}]}, False),
        ({"methods": [{"name": "my:Own", "zip": {"a": [1]}}]}, True),
    ],
)
def test_the_schema_knows_ranges_and_zip(schema, changes, valid):
    found = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document(**changes))]
    assert (found == []) == valid
