"""What a results directory's spec.yaml gives: a plan and samples, and neither code nor what lies elsewhere."""

import io
import json
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from rich.console import Console

from analysis.pages.plan import Planned
from analysis.pages.samples import Samples
from sweep.cli.status_table import print_left
from sweep.cli.stored_spec import StoredPlan, StoredSamples, planned
from sweep.errors import InputError
from sweep.plan.trials import dataset_identity, plan_trials
from sweep.spec.sweep_spec import parse_spec
from sweep.store.parquet import Rows
from sweep.store.results import Results
from sweep.tasks.datasets import Digits

SPEC = {
    "name": "stored",
    "dataset": {"name": "digits", "label_noise": 0.2},
    "seeds": [0, 1],
    "methods": [{"name": "retrain"}, {"name": "finetune", "lr": [0.01, 0.1]}],
}


def text(**changes):
    return yaml.safe_dump(SPEC | changes).encode()


@pytest.fixture
def results(tmp_path):
    found = Results(str(tmp_path))
    found.write("spec.yaml", text())
    return found


def test_the_plan_has_every_trial(results):
    found = planned(results, text())
    assert found.trials == {trial.id: trial.method for trial in plan_trials(parse_spec(SPEC))}
    assert (len(found.trials), found.suggestions) == (6, 0)


def test_a_search_has_a_number_of_suggestions(results):
    search = {"methods": [{"name": "finetune"}], "trials": 7}
    found = planned(results, text(search=search, dataset={"name": "digits", "validation": 0.1}))
    assert found.suggestions == 7


REFUSED = {
    "method": ({"methods": [{"name": "hostile:Method"}]}, "the method hostile:Method is a plugin"),
    "searched": ({"search": {"methods": [{"name": "hostile:Method"}]}}, "the method hostile:Method is a plugin"),
    "data": ({"dataset": {"name": "hostile:Data"}}, "the data set hostile:Data is a plugin"),
    "model": ({"model": {"name": "hostile:Model"}}, "the model hostile:Model is a plugin"),
    "URI": ({"dataset": {"name": "parquet", "path": "s3://bucket/data"}}, "names a URI"),
    "rows elsewhere": ({"forget": {"scenario": "rows", "path": "s3://bucket/rows.csv"}}, "names a URI"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_neither_code_nor_what_lies_elsewhere_is_opened(results, changes, message, tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text("import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        planned(results, text(**changes))
    assert not (tmp_path / "imported").exists()
    assert "hostile" not in sys.modules


WRITTEN = {
    "escaped": r'dataset: {name: parquet, path: "s3:/\u002fbucket/data?endpoint_override=127.0.0.1:1"}',
    "folded": 'dataset: {name: parquet, path: "s3:\\\n  //bucket/data"}',
    "binary": "dataset: {name: parquet, path: !!binary czM6Ly9idWNrZXQvZGF0YQ==}",
    "in a list": r'forget: [{scenario: rows, path: "s3:/\x2fbucket/rows.csv"}]',
    "a key": r'labels: {"s3:/\u002fbucket": data}',
    "in a loop": r'dataset: &loop {name: parquet, again: *loop, path: "s3:/\u002fbucket/data"}',
}
"""How YAML may write a URI without its characters."""


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_uri_is_found_however_yaml_writes_it(results, written, monkeypatch):
    monkeypatch.setattr("sweep.store.location.pafs", None)  # opens nothing
    content = f"name: stored\nmethods: [{{name: retrain}}]\n{written}\n".encode()
    results.write("spec.yaml", content)
    with pytest.raises(InputError, match="names a URI"):
        planned(results, content)
    assert "names a URI" in StoredSamples(results).of(config_of()).unknown


def test_a_comment_may_name_a_uri(results):
    assert len(planned(results, text() + b"# https://example.org\n").trials) == 6


@pytest.mark.parametrize("content", [b"- 1", b"{", b"methods: [{name: nothing}]", b"\xff\xfe"])
def test_a_spec_that_is_none_is_refused(results, content):
    with pytest.raises(InputError):
        planned(results, content)


def test_nothing_is_downloaded(results, tmp_path):
    dataset = {"name": "cifar10", "path": str(tmp_path / "data"), "download": True}
    with pytest.raises(InputError, match="CIFAR10 is not in"):
        planned(results, text(dataset=dataset))
    assert not (tmp_path / "data").exists()


def test_the_plan_comes_later_and_follows_the_spec(results, monkeypatch):
    threads = []
    monkeypatch.setattr("threading.Thread.start", lambda thread: threads.append(thread))
    plan = StoredPlan(results)
    assert plan.now() == "spec.yaml is being read."
    threads.pop().run()
    assert len(plan.now().trials) == 6
    assert plan.now() is plan.now()
    assert threads == []
    results.write("spec.yaml", text(seeds=[0]))
    assert plan.now() == "spec.yaml is being read."
    results.write("spec.yaml", text(methods=[{"name": "hostile:Method"}]))
    plan.now()
    for thread in threads[::-1]:
        thread.run()
    assert plan.now() == "the method hostile:Method is a plugin, which is not imported here."


def test_without_a_spec_no_plan_is_known(tmp_path):
    assert StoredPlan(Results(str(tmp_path))).now() == "there is no spec.yaml."
    assert StoredPlan(Results(str(tmp_path))).within(60) == "there is no spec.yaml."


def test_a_plan_is_waited_for_as_long_as_one_has_patience(results, monkeypatch):
    hashed = threading.Event()
    monkeypatch.setattr(Digits, "fingerprint", lambda dataset: hashed.wait(60) or None)
    plan = StoredPlan(results)
    assert plan.within(0.01) == "to plan spec.yaml takes longer than 0.01 s."
    hashed.set()
    monkeypatch.setattr(Digits, "fingerprint", lambda dataset: None)
    assert len(StoredPlan(results).within(60).trials) == 6


def test_a_plugin_is_imported_where_it_is_named(results, tmp_path, monkeypatch):
    (tmp_path / "own_finetune.py").write_text("from methods.finetune import FineTune as Own\n")
    monkeypatch.syspath_prepend(tmp_path)
    content = text(methods=[{"name": "own_finetune:Own"}])
    assert len(planned(results, content, frozenset(["own_finetune:Own"])).trials) == 2
    with pytest.raises(InputError, match="is a plugin"):
        planned(results, content, frozenset(["another:Own"]))


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        (Planned({"a": "retrain", "b": "retrain"}), "left to run: 1 of 2 trials of spec.yaml"),
        (Planned({"a": "retrain"}), "left to run: 0 of 1 trial of spec.yaml"),
        (Planned({}, 7), "spec.yaml asks for up to 7 suggestions in each study"),
        (Planned({}, 1), "spec.yaml asks for up to 1 suggestion in each study"),
        ("there is no spec.yaml.", "how many trials are missing is not known: there is no spec.yaml."),
    ],
)
def test_what_status_says_of_a_plan(plan, line):
    stored = pa.table({"trial_id": ["a"], "status": ["ok"]})
    console = Console(file=io.StringIO())
    print_left(console, plan, Rows(stored, []))
    assert console.file.getvalue() == f"{line}\n"


def config_of(**dataset):
    identity = dataset_identity(parse_spec(SPEC | {"dataset": {"name": "digits"} | dataset}).dataset)
    return json.dumps({"dataset": identity})


def test_images_are_those_of_the_data_set(results):
    samples, digits = StoredSamples(results), Digits().load()
    for part, images in (("test", digits.test_images), ("forget", digits.train_images)):
        found = np.asarray(Image.open(io.BytesIO(samples.of(config_of(label_noise=0.5)).png(part, 3))))
        np.testing.assert_array_equal(found, images[3, 0])
        assert samples.of(config_of()).png(part, len(images)) == b""


def png_of(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def test_colour_images_and_names_of_classes(results, tmp_path):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for split in ("train", "test"):
        rows = {"image": [{"bytes": png_of(image + place)} for place in range(4)], "label": ["cat", "dog"] * 2}
        pq.write_table(pa.table(rows), tmp_path / f"{split}-0.parquet")
    dataset = {"name": "parquet", "path": str(tmp_path)}
    results.write("spec.yaml", text(dataset=dataset))
    found = StoredSamples(results).of(config_of(**dataset))
    assert tuple(found.classes) == ("cat", "dog")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(found.png("retain", 2)))), image + 2)
    assert StoredSamples(results).of(config_of()).unknown == "spec.yaml is of another data set than this trial."


def test_data_of_numbers_needs_no_word(results):
    results.write("spec.yaml", text(dataset={"name": "diabetes"}))
    assert StoredSamples(results).of(config_of(name="diabetes")) == Samples()


def test_texts_are_those_of_the_data_set(results, tmp_path):
    long = "word " * 100
    parts = {
        "train": [{"question": f"Who {place}?", "answer": "Ada", "wrong": [long], "group": "a"} for place in "01"],
        "test": [{"text": f"test {long}", "group": "b"}],
        "outsiders": [{"text": "an outsider", "group": "c"}],
        "retain": [{"question": "Asked?", "choices": ["yes", "no"], "answer": 0, "group": "a"}],
    }
    for part, rows in parts.items():
        (tmp_path / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = {part: f"{part}.jsonl" for part in ("train", "test", "outsiders")}
    dataset = {"name": "text", "path": str(tmp_path), **files, "questions": {"retain": "retain.jsonl"}}
    results.write("spec.yaml", text(dataset=dataset))
    found = StoredSamples(results).of(config_of(**dataset))
    assert found.text("forget", 1) == "Who 1?"
    assert [len(answer) <= 80 for answer in found.answers("forget", 1)] == [True, True]
    assert (found.text("retain", 0), [*found.answers("retain", 0)]) == ("Asked?", ["yes", "no"])
    assert found.text("test", 0).startswith("test word word")
    assert len(found.text("validation", 0)) <= 240
    assert found.text("outsiders", 0) == found.text("validation_outsiders", 0) == "an outsider"
    assert found.answers("test", 0) == (), "a text alone is no answer"
    assert (found.text("forget", 2), found.answers("forget", 2)) == ("", ())
    assert StoredSamples(results).of(config_of()).unknown == "spec.yaml is of another data set than this trial."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no spec.yaml"),
        (
            text(dataset={"name": "cifar10", "path": "nowhere"}),
            "the data set cannot be opened here: dataset: CIFAR10 is not",
        ),
        (text(dataset={"name": "hostile:Data"}), "the data set hostile:Data is a plugin"),
    ],
)
def test_why_no_samples_are_known(tmp_path, content, message):
    results = Results(str(tmp_path / "other"))
    if content:
        results.write("spec.yaml", content)
    assert message in StoredSamples(results).of("{}").unknown
