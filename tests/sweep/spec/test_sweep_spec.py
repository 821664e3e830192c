"""What a spec file may say, and what is said about one that is wrong."""

from __future__ import annotations

import dataclasses

import jsonschema
import pytest

from methods import METHODS, Range
from sweep.errors import InputError
from sweep.plan.trials import plan_trials
from sweep.spec.schema import spec_schema
from sweep.spec.spec_file import presets, read_document
from sweep.spec.sweep_spec import load_spec, parse_spec
from sweep.store.columns import REFERENCES


@pytest.fixture
def write_spec(tmp_path):
    """A spec file with the text given; its path."""

    def write(text: str, name: str = "mine.yaml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def values(spec, method: int = 0) -> dict:
    return spec.methods[method].grid


def refusal(action) -> str:
    """The message of the InputError that `action` raises, which must be one line."""
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_list_is_a_grid_axis_and_axes_multiply():
    spec = parse_spec(
        {
            "name": "grid",
            "seeds": [0, 1],
            "forget": [{"ratio": [0.1, 0.2]}, {"scenario": "class", "class": [3, 4, 5]}],
            "methods": [{"name": "uam", "rho": [1, 2], "gamma": [0, 1, 2]}, {"name": "retrain"}],
        }
    )
    trials = plan_trials(spec)
    assert sum(trial.method == "uam" for trial in trials) == 2 * 3 * 5 * 2
    assert sum(trial.method == "retrain" for trial in trials) == 5 * 2


def test_a_single_value_may_be_written_bare():
    bare = parse_spec({"name": "x", "seeds": 3, "forget": {"ratio": 0.2}, "methods": [{"name": "uam", "rho": 1}]})
    listed = parse_spec(
        {"name": "x", "seeds": [3], "forget": [{"ratio": [0.2]}], "methods": [{"name": "uam", "rho": [1]}]}
    )
    assert bare == listed


def test_defaults_are_filled_in():
    spec = parse_spec({"name": "x", "methods": [{"name": "uam"}]})
    assert spec.forget[0].sets() == [{"scenario": "random", "ratio": 0.1}]
    assert values(spec)["rho"] == [2.0]
    assert spec.model.model_extra == {"width": 32}
    assert (spec.dataset.crop, spec.dataset.flip) == (0, False)


def test_crop_and_flip_default_to_what_is_usual_for_the_dataset():
    spec = parse_spec({"name": "x", "dataset": {"name": "cifar10", "flip": False}, "methods": [{"name": "retrain"}]})
    assert (spec.dataset.crop, spec.dataset.flip) == (4, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainnig: {epochs: 3}", "trainnig: unknown key; did you mean 'training'?"),
        ("training: {epoch: 3}", "training.epoch: unknown key; did you mean 'epochs'?"),
        ("methods: [{name: retrain}, {name: uam, roh: 1}]", "methods.1.roh: unknown key; did you mean 'rho'?"),
        ("dataset: {labelnoise: 0.1}", "dataset.labelnoise: unknown key; did you mean 'label_noise'?"),
        ("model: {widht: 8}", "model.widht: unknown key; did you mean 'width'?"),
        ("forget: [{ratio: 0.1}, {raito: 0.1}]", "forget.1.raito: unknown key; did you mean 'ratio'?"),
        ("forget: {scenario: clas}", "forget.scenario: 'clas' is unknown; did you mean 'class'?"),
        ("methods: [{name: uma}]", "methods.0.name: unknown method 'uma'; did you mean 'uam'?"),
        ("dataset: {name: cifar}", "dataset.name: unknown dataset 'cifar'; did you mean 'cifar10'?"),
        ("model: {name: smal-cnn}", "model.name: unknown model 'smal-cnn'; did you mean 'small-cnn'?"),
        ("methods: [{name: uam, hessian: exat}]", "methods.0.hessian: 'exat' is unknown; did you mean 'exact'?"),
        ("training: {schedule: linear}", "training.schedule: 'linear' is unknown; valid: constant, cosine, one-cycle"),
        ("training: {epochs: many}", "training.epochs: should be a valid integer"),
        ("training: 5", "training: should be a mapping of keys to values, not 5"),
        ("methods: uam", "methods: should be a valid list"),
        ("methods: [uam]", "methods.0: should be a mapping of keys to values, not 'uam'"),
        ("methods: [{rho: 1}]", "methods.0.name: required, and missing"),
        ("dataset: {name: parquet}", "dataset.path: required, and missing"),
        ("methods: [{name: uam, rho: -1}]", "methods.0.rho: should be greater than or equal to 0, not -1"),
        ("methods: [{name: uam, rho: [1, -1]}]", "methods.0.rho.1: should be greater than or equal to 0, not -1"),
        ("methods: [{name: uam, rho: .inf}]", "methods.0.rho: should be a finite number, not inf"),
        ("training: {lr: .inf}", "training.lr: should be a finite number, not inf"),
        ("resources: {cpus: 100000}", "resources.cpus: should be less than or equal to 1024, not 100000"),
        ("training: {lr: .nan}", "training.lr: should be "),
        ("methods: [{name: fisher, samples: 0}]", "methods.0.samples: should be greater than or equal to 1, not 0"),
        ("methods: []", "methods: an empty list leaves nothing to run"),
        ("methods: [{name: uam, rho: []}]", "methods.0.rho: an empty list leaves nothing to run"),
        ("seeds: []", "seeds: an empty list leaves nothing to run"),
        ("seeds: [-1]", "seeds.0: should be greater than or equal to 0, not -1"),
        ("forget: {ratio: 0}", "forget.ratio: should be greater than 0, not 0"),
        ("forget: {ratio: [0.1, 1]}", "forget.ratio.1: should be less than 1, not 1"),
        ("forget: {class: 1}", "forget: 'class' needs scenario: class"),
        ("forget: {scenario: class, class: -1}", "forget.class: should be greater than or equal to 0, not -1"),
        ("forget: {scenario: class, class: [a, 1.5]}", "forget.class.1: should be a valid integer, not 1.5"),
        ("forget: {scenario: class}", "forget: scenario: class needs 'class'"),
        ("predictions: some", "predictions: 'some' is unknown; valid: true, false, forget, all"),
        ("predictions: 1", "predictions: 1 is unknown; valid: true, false, forget, all"),
        ("forget: {scenario: row, path: a.csv}", "forget.scenario: 'row' is unknown; did you mean 'rows'?"),
        ("forget: {scenario: rows, path: []}", "forget.path: an empty list leaves nothing to run"),
        ("forget: {scenario: class, class: 1, ratio: 0.1}", "forget: 'ratio' needs scenario: random"),
        ("training: {momentum: 0}", "training: nesterov needs a momentum above 0"),
        ("dataset: {validation: 0.6, reference: 0.5}", "dataset: validation and reference together must stay below 1"),
        ("name: a/b", "name: use letters, digits, '.', '_' and '-' only"),
        ("methods: [{name: 'nowhere:Method'}]", "methods.0.name: plugin 'nowhere:Method': importing nowhere failed"),
        ("methods: [{name: 'plugin_examples:Raise'}]", "has no 'Raise'; did you mean 'Raises'?"),
        ("methods: [{name: 'plugin_examples:NOT_A_METHOD'}]", "is not a subclass of methods.Method"),
        ("methods: [{name: 'plugin_examples:Undecorated', strength: 2}]", "write @dataclass(frozen=True) above"),
        ("methods: [{name: 'plugin_examples:Unfinished'}]", "plugin_examples:Unfinished' does not define unlearn"),
        ("methods: [{name: 'methods:Descent'}]", "plugin 'methods:Descent' defines neither gradients nor passes"),
        (
            "dataset: {name: 'sweep.tasks.datasets:Dataset'}",
            "plugin 'sweep.tasks.datasets:Dataset' does not define load",
        ),
        ("dataset: {name: 'plugin_examples:Raises'}", "is not a subclass of sweep.tasks.datasets.Dataset"),
        ("model: {name: 'plugin_examples:NOT_A_METHOD'}", "cannot be called"),
        ("1: 2", "1: unknown key"),
        ("2020-01-01: 2", "2020-01-01: unknown key"),
        ("!!timestamp 2020-01-01: 2", "not plain data: keys must be str"),
        ("seeds: &loop [*loop]", "not plain data: Circular reference"),
        ("training: {epochs: true}", "training.epochs: should be a valid integer, not True"),
        ("training: {lr: '5e-4'}", "training.lr: should be a valid number, not '5e-4'"),
        ("methods: [{name: uam, rho: [1, '2']}]", "methods.0.rho.1: should be a valid number, not '2'"),
        ("model: {name: resnet8, width: 32.5}", "model.width: should be a valid integer, not 32.5"),
        ("model: {name: resnet8, width: 0}", "model.width: should be greater than or equal to 1, not 0"),
        ("a: [1", "line 1, column 6: not YAML"),
        ("a: b: c", "line 1, column 5: not YAML"),
        ("seeds: 1\nseeds: 2", "line 2, column 1: not YAML: key 'seeds' is given twice"),
        ("methods:\n- {name: uam, rho: 1, rho: 2}", "line 2, column 23: not YAML: key 'rho' is given twice"),
        ("{[a]: 1}", "not YAML"),
        ("[uam]", "a spec is a mapping of keys to values, not list"),
        ("", "a spec is a mapping of keys to values, not NoneType"),
    ],
)
def test_bad_input_is_one_line_with_file_key_and_what_would_be_right(write_spec, text, message):
    if "methods:" not in text and ":" in text and "[1" not in text and "b: c" not in text and "{[" not in text:
        text += "\nmethods: [{name: retrain}]"
    path = write_spec(text)
    found = refusal(lambda: load_spec(path))
    assert found.startswith(f"{path}: ")
    assert message in found


def test_a_name_that_is_no_file_and_no_preset():
    assert refusal(lambda: load_spec("digit")) == "digit: no such file or preset; did you mean 'digits'?"


def test_a_directory_is_no_spec(tmp_path):
    assert refusal(lambda: load_spec(str(tmp_path))) == f"{tmp_path}: is a directory; a spec is a YAML file"


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x80")
    assert refusal(lambda: load_spec(str(path))).startswith(f"{path}: cannot be read as text")


@pytest.mark.parametrize("name", ["parquet", "cifar10"])
def test_a_missing_dataset_directory_is_found_when_planning(make_spec, tmp_path, name):
    spec = make_spec(dataset={"name": name, "path": str(tmp_path / "nowhere")})
    assert "nowhere" in refusal(lambda: plan_trials(spec))


def test_the_name_defaults_to_the_files(write_spec):
    assert load_spec(write_spec("methods: [{name: retrain}]", "my-sweep.yaml")).name == "my-sweep"


def test_numbers_in_scientific_notation_need_no_point(write_spec):
    spec = load_spec(write_spec("methods: [{name: uam, weight_decay: 5e-4, lr: [1E-2, .5e+0]}]"))
    assert values(spec)["weight_decay"] == [0.0005]
    assert values(spec)["lr"] == [0.01, 0.5]
    _, document = read_document(write_spec("numbers: [5e-4, -1E+2, 2.e0]"), [])
    assert [(number, type(number)) for number in document["numbers"]] == [
        (0.0005, float),
        (-100.0, float),
        (2.0, float),
    ]


def test_set_replaces_values_anywhere():
    overrides = [
        "methods.7.rho=[1,2]",
        "methods.finetune.lr=0.5",
        "training.epochs=3",
        "seeds=5",
        "training.lr=5e-4",
        "forget.ratio=0.3",
    ]
    spec = load_spec("digits", overrides)
    assert values(spec, 7)["rho"] == [1.0, 2.0]
    [finetune] = [place for place, entry in enumerate(spec.methods) if entry.name == "finetune"]
    assert values(spec, finetune)["lr"] == [0.5]
    assert (spec.training.epochs, spec.training.lr, spec.seeds) == (3, 0.0005, [5])
    assert spec.forget[0].ratio == [0.3]


def test_set_by_a_name_that_several_entries_have_asks_for_a_number(write_spec):
    path = write_spec("methods: [{name: retrain}, {name: uam, rho: 1}, {name: uam, rho: 2}]")
    message = refusal(lambda: load_spec(path, ["methods.uam.lr=1"]))
    assert "'methods' has several entries named 'uam': 1, 2; give one of these numbers" in message


def test_set_makes_sections_that_the_file_leaves_out(write_spec):
    path = write_spec("methods: [{name: retrain}]\nresources:")
    spec = load_spec(path, ["resources.cpus=2", "training.epochs=3"])
    assert (spec.resources.cpus, spec.training.epochs) == (2, 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "write PATH=VALUE"),
        ("=3", "write PATH=VALUE"),
        ("methods.10.rho=1", "'methods' has entries 0 to 9, not '10'"),
        ("methods.uma.rho=1", "'methods' has entries 0 to 9, not 'uma'; did you mean 'uam'?"),
        ("methods.-1.rho=1", "'methods' has entries 0 to 9, not '-1'"),
        ("methods.².rho=1", "'methods' has entries 0 to 9, not '²'"),
        ("name.first=1", "'name' is a value and has no 'first'"),
        ("training.lr=[1,", "--set training.lr: line 1, column 4: not YAML"),
        ("methods.7.roh=1", "methods.7.roh: unknown key; did you mean 'rho'?"),
        ("training.epochs=", "training.epochs: should be a valid integer"),
    ],
)
def test_set_that_fits_nowhere(override, message):
    assert message in refusal(lambda: load_spec("digits", [override]))


def test_a_resolved_spec_reads_back_equal(write_spec):
    text = """
    name: full
    dataset: {name: digits, label_noise: 0.2, limit: 300, validation: 0.1}
    training: {weight_decay: 5e-4}
    forget: [{ratio: [0.1, 0.2]}, {scenario: class, class: [1, 2]}]
    resources: {gpus: 0.25}
    methods: [{name: fisher, alpha: [1e-9, 1e-7], samples: [null, 100]}, {name: uam, hessian: [none, exact]}]
    """
    spec = load_spec(write_spec(text))
    again = load_spec(write_spec(spec.to_yaml(), "again.yaml"))
    assert again == spec
    assert [trial.id for trial in plan_trials(again)] == [trial.id for trial in plan_trials(spec)]


@pytest.mark.parametrize("name", presets())
def test_presets_load_and_read_back_equal(write_spec, name):
    spec = load_spec(name)
    assert spec.name == name
    assert load_spec(write_spec(spec.to_yaml())) == spec


@pytest.fixture(scope="module")
def validator():
    schema = spec_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", presets())
def test_the_schema_accepts_presets_as_written_and_resolved(validator, write_spec, name):
    validator.validate(read_document(name, [])[1])
    validator.validate(read_document(write_spec(load_spec(name).to_yaml()), [])[1])


@pytest.mark.parametrize(
    "document",
    [
        {"seeds": 3, "forget": {"scenario": "class", "class": 1}, "methods": [{"name": "uam", "rho": 1}]},
        {"dataset": {"name": "parquet", "path": "p"}, "methods": [{"name": "fisher", "samples": [None, 3]}]},
        {"dataset": {"limit": 9}, "model": {"width": 4}, "methods": [{"name": "my.plugin:Method", "strength": 3}]},
        {"model": {"name": "vgg11", "dropout": 0.1}, "methods": [{"name": "retrain"}]},
        {"search": {"methods": [{"name": "uam", "rho": {"high": 2}, "lr": 0.1, "epochs": [1, 2], "momentum": [0.9]}]}},
        {"search": {"methods": [{"name": "fisher", "samples": {"low": 1, "high": 9, "log": True}}]}},
        {"search": {"methods": [{"name": "my.plugin:Method", "strength": {"low": 3}}]}},
        {"forget": {"ratio": 0.2, "fold": [0, 1]}, "predictions": "forget", "methods": [{"name": "retrain"}]},
        {"forget": [{"scenario": "rows", "path": "a.csv"}], "predictions": "all", "methods": [{"name": "retrain"}]},
        {"forget": {"fold": 0}, "predictions": False, "methods": [{"name": "retrain"}]},
    ],
)
def test_the_schema_accepts_what_may_be_written(validator, document):
    validator.validate(document)


SEARCH = {"dataset": {"validation": 0.1}}


@pytest.mark.parametrize(
    "document",
    [
        {"methods": [{"name": "uam", "roh": 1}]},
        {"methods": [{"name": "uma"}]},
        {"methods": [{"name": "uam", "hessian": "exat"}]},
        {"methods": [{"name": "uam", "rho": -1}]},
        {"methods": [{"name": "uam", "rho": []}]},
        {"methods": [{"rho": 1}]},
        {"methods": []},
        {"seeds": [0]},
        {"methods": [{"name": "uam"}], "trainnig": {}},
        {"methods": [{"name": "uam"}], "forget": {"ratio": 1}},
        {"methods": [{"name": "uam"}], "forget": {"ratio": 0.1, "fold": -1}},
        {"methods": [{"name": "uam"}], "forget": {"scenario": "rows", "path": 3}},
        {"methods": [{"name": "uam"}], "predictions": "some"},
        {"methods": [{"name": "uam"}], "dataset": {"name": "parquet"}},
        {"methods": [{"name": "uam"}], "model": {"name": "small-cnn", "widht": 3}},
        SEARCH | {"search": {"methods": [{"name": "uam", "roh": 1}]}},
        SEARCH | {"search": {"methods": [{"name": "uam", "rho": {"lo": 1}}]}},
        SEARCH | {"search": {"methods": [{"name": "uam", "rho": {"low": -1}}]}},
        SEARCH | {"search": {"methods": [{"name": "uam", "rho": []}]}},
        SEARCH | {"search": {"methods": [{"name": "uam", "hessian": {"low": 1}}]}},
        SEARCH | {"search": {"methods": [{"name": "uam", "weight_decay": {"low": 1}}]}},
        SEARCH | {"search": {"methods": [{"name": "retrain"}]}},
    ],
)
def test_the_schema_rejects_what_loading_rejects(validator, document):
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document)
    with pytest.raises(InputError):
        parse_spec({"name": "x"} | document)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in REFERENCES])
def test_the_schema_knows_each_methods_own_ranges(name):
    definitions = spec_schema()["$defs"]
    [entry] = [option for option in definitions["SearchedMethodSpec"]["anyOf"] if option.get("title") == name]
    for item in dataclasses.fields(METHODS[name]):
        if isinstance(own := item.metadata["search"], Range):
            reference = entry["properties"][item.name]["oneOf"][1]["$ref"].rpartition("/")[2]
            ends = definitions[reference]["properties"]
            assert [ends[end]["default"] for end in ("low", "high", "log")] == [own.low, own.high, own.log]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"scenario": "class", "class": [0, 1]}, "class 0, 1"),
        ({"scenario": "random", "ratio": 0.1}, "random; ratio 0.1"),
        ({"scenario": "random", "ratio": 0.2, "fold": [0, 1]}, "random; ratio 0.2; fold 0, 1"),
    ],
)
def test_a_forget_set_is_said_once(section, words):
    [grid] = parse_spec({"name": "x", "methods": [{"name": "retrain"}], "forget": section}).forget
    assert grid.words() == words
