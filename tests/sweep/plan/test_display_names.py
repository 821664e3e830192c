"""What names are called."""

from __future__ import annotations

import pytest

from sweep.errors import InputError
from sweep.plan.labels import check_labels, proposed_labels
from sweep.store.labels import dataset_key, label_of, learn_labels, read_labels, write_labels


def test_what_a_spec_says_replaces_a_label_and_what_a_plugin_says_does_not(results):
    write_labels(results, {}, {"a:B": "b", "c:D": "d"})
    write_labels(results, {"a:B": "Better"}, {"a:B": "ignored", "c:D": "ignored too"})
    assert read_labels(results) == {"a:B": "Better", "c:D": "d"}
    before = results.read("labels.json")
    write_labels(results, {}, {"a:B": "again"})
    assert results.read("labels.json") == before
    learn_labels(results)
    assert (label_of("a:B"), label_of("e:F")) == ("Better", None)


@pytest.mark.parametrize("damaged", [b"{", b"[1]", b'{"a:B": 3}', b"[" * 100_000])
def test_a_damaged_file_counts_as_absent(results, damaged):
    results.write("labels.json", damaged)
    assert read_labels(results) == {}


def test_sets_of_other_files_are_other_sets():
    assert dataset_key("parquet", "1") != dataset_key("parquet", "2")
    assert dataset_key("digits", None) == "digits"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"finetun": "F"}, "labels: no 'finetun' in this spec; did you mean 'finetune'?"),
        ({"finetune": " "}, "labels.finetune: one line of 1 to 60 characters is wanted"),
        ({"finetune": "a\nb"}, "labels.finetune: one line of 1 to 60 characters is wanted"),
        ({"finetune": "same", "digits": "same"}, "labels: two names have the same label"),
    ],
)
def test_labels_are_of_what_the_spec_has(make_spec, labels, message):
    with pytest.raises(InputError) as refused:
        check_labels(make_spec(labels=labels))
    assert str(refused.value) == message


def test_labels_are_in_the_stored_spec_and_in_no_identity(make_spec, make_trial):
    labels = {"finetune": "Fine", "digits": "Digits 8 x 8", "small-cnn": "CNN"}
    check_labels(make_spec(labels=labels))
    assert "labels:" not in make_spec().to_yaml()
    assert "Digits 8 x 8" in make_spec(labels=labels).to_yaml()
    assert make_trial(labels=labels).id == make_trial().id


def test_plugins_propose_their_own_names_unless_those_are_taken(make_spec, monkeypatch):
    named = [{"name": f"plugin_examples:{name}"} for name in ("Filled", "Raises", "Jittered")]
    spec = make_spec(methods=[*named, {"name": "finetune"}])
    assert proposed_labels(spec) == {
        "plugin_examples:Filled": "filled",
        "plugin_examples:Raises": "raises",
        "plugin_examples:Jittered": "jittered",
    }
    monkeypatch.setattr("plugin_examples.Filled.label", "Filled in", raising=False)
    monkeypatch.setattr("plugin_examples.Raises.name", "FineTune")  # a built-in one is called so
    assert proposed_labels(spec) == {"plugin_examples:Filled": "Filled in", "plugin_examples:Jittered": "jittered"}
    monkeypatch.setattr("plugin_examples.Jittered.name", "filled in")
    assert proposed_labels(spec) == {}
