"""The identity of trials: what it depends on, and what it does not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugin_examples import Sharded, Stripes

from methods import UAM, FineTune
from sweep.errors import InputError
from sweep.plan.check import check_task
from sweep.plan.code_version import code_version
from sweep.plan.trials import dataset_identity, describe, location_options, plan_trials, trial_for
from sweep.search.plan import plan_search
from sweep.spec.forget_section import CLASS_VERSION
from sweep.spec.sweep_spec import load_spec
from sweep.store.content_ids import canonical_json, content_id
from sweep.tasks import splits
from sweep.tasks.datasets import Digits
from sweep.tasks.splits import Drawing

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_canonical_json_says_the_same_value(value):
    assert json.loads(canonical_json(value)) == value


@given(plain)
def test_canonical_json_of_what_it_says_is_itself(value):
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text("abcdef"), plain, max_size=5), st.randoms())
def test_canonical_json_does_not_depend_on_key_order(mapping, random):
    keys = list(mapping)
    random.shuffle(keys)
    assert canonical_json({key: mapping[key] for key in keys}) == canonical_json(mapping)


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_canonical_json_does_not_tell_whole_floats_from_integers(number):
    assert canonical_json([float(number)]) == canonical_json([number]) == f"[{number}]"


@given(numbers, numbers)
def test_canonical_json_tells_different_numbers_apart(one, other):
    assert (canonical_json(one) == canonical_json(other)) == (one == other) or abs(one) >= 2**53


def test_canonical_json_keeps_truth_and_one_apart():
    assert canonical_json([True, 1, 1.0, None]) == "[true,1,1,null]"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_canonical_json_refuses_what_is_no_number(number):
    with pytest.raises(ValueError, match="not finite"):
        canonical_json({"rho": number})


def test_content_ids_are_16_hexadecimal_digits():
    assert content_id("{}") == "44136fa355b3678a"


def test_the_code_version_has_the_distributions_version_and_a_hash():
    version, _, digest = code_version().partition("+")
    assert version
    assert len(digest) == 8


def ids(spec) -> list[str]:
    return [trial.id for trial in plan_trials(spec)]


METHODS = [{"name": "uam", "rho": 1, "gamma": 2}]


@pytest.mark.parametrize(
    "change",
    [
        {"methods": [{"gamma": 2, "rho": 1, "name": "uam"}]},
        {"methods": [{"name": "uam", "rho": 1.0, "gamma": 2.0}]},
        {"methods": [{"name": "uam", "rho": [1], "gamma": [2]}]},
        {"methods": [{"name": "uam", "rho": 1, "gamma": 2, "epochs": 10, "hessian": "projection"}]},
        {"dataset": {"limit": 200, "name": "digits", "label_noise": 0, "crop": 0, "flip": False}},
        {"training": {"lr": 0.05, "epochs": 1, "momentum": 0.9}},
        {"forget": {"ratio": 0.1}},
        {"forget": [{"scenario": "random", "ratio": [0.1]}]},
        {"name": "another"},
        {"resources": {"cpus": 2, "gpus": 0.5}},
        {"max_retries": 5},
        {"predictions": False},
        {"relearn": {"epochs": 2, "data": "forget"}},
        {"forget_information": True},
    ],
    ids=str,
)
def test_ids_do_not_depend_on_how_or_where_a_trial_is_written(make_spec, change):
    assert ids(make_spec(**({"methods": METHODS} | change))) == ids(make_spec(methods=METHODS))


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [1]},
        {"methods": [{"name": "uam", "rho": 1.5, "gamma": 2}]},
        {"methods": [{"name": "finetune"}]},
        {"forget": {"ratio": 0.11}},
        {"forget": {"scenario": "class", "class": 1}},
        {"dataset": {"name": "digits", "limit": 200, "label_noise": 0.1}},
        {"dataset": {"name": "digits", "limit": 201}},
        {"dataset": {"name": "digits", "limit": 200, "flip": True}},
        {"dataset": {"name": "digits", "limit": 200, "validation": 0.1}},
        {"model": {"name": "small-cnn", "width": 5}},
        {"training": {"epochs": 2, "lr": 0.05}},
    ],
    ids=str,
)
def test_ids_depend_on_what_determines_the_result(make_spec, change):
    assert not set(ids(make_spec(**({"methods": METHODS} | change)))) & set(ids(make_spec(methods=METHODS)))


def test_ids_depend_on_the_methods_version(make_trial, monkeypatch):
    before = make_trial("finetune")
    other = make_trial("uam")
    monkeypatch.setattr(FineTune, "version", FineTune.version + 1)
    assert make_trial("finetune").id != before.id
    assert make_trial("finetune").original_id == before.original_id
    assert make_trial("uam") == other


def test_ids_of_a_forgotten_class_depend_on_what_that_means(make_trial, monkeypatch):
    forgotten = {"scenario": "class", "class": 1}
    before, random = make_trial("retrain", forget=forgotten), make_trial("retrain")
    original = make_trial("original", forget=forgotten).original_id
    monkeypatch.setattr("sweep.spec.forget_section.CLASS_VERSION", CLASS_VERSION + 1)
    after = make_trial("retrain", forget=forgotten)
    assert (after.id != before.id, after.task_id != before.task_id) == (True, True)
    assert make_trial("retrain") == random
    assert make_trial("original", forget=forgotten).original_id == original


def test_where_a_dataset_lies_is_no_part_of_its_identity(make_spec, tmp_path, monkeypatch):
    monkeypatch.setattr("sweep.tasks.datasets.Cifar10._part", lambda self, train: None)
    here = make_spec(dataset={"name": "cifar10", "path": "here"})
    there = make_spec(dataset={"name": "cifar10", "path": str(tmp_path / "there"), "download": True})
    assert ids(here) == ids(there)
    assert location_options(there.dataset) == {"path": str(tmp_path / "there"), "download": True}


def test_a_parquet_sets_content_is_part_of_its_identity_and_its_path_is_not(make_spec, write_images, tmp_path):
    def trial_ids(folder: str, shade: int) -> list[str]:
        for part in ("train", "test"):
            image = np.full((2, 2, 3), shade, dtype=np.uint8)
            write_images(tmp_path / folder / f"{part}.parquet", [image, image], [0, 1])
        return ids(make_spec(dataset={"name": "parquet", "path": str(tmp_path / folder)}))

    assert trial_ids("one", 7) == trial_ids("copy", 7)
    assert trial_ids("one", 7) != trial_ids("other", 8)


def test_hyperparameters_that_came_later_are_part_of_an_identity_only_where_they_are_not_at_their_defaults(make_spec):
    assert UAM.came_later == ("signal", "layer", "noise")
    signals = ({}, {"signal": "loss", "noise": 0.01}, {"signal": "hidden"}, {"signal": "hidden", "layer": 3})
    spec = make_spec(methods=[{"name": "uam"} | given for given in signals], seeds=[0])
    found = [describe(trial)["method"]["params"] for trial in plan_trials(spec)]
    usual = dataclasses.asdict(UAM())
    older = {name: value for name, value in usual.items() if name not in UAM.came_later}
    assert found == [older, older | {"signal": "hidden"}, older | {"signal": "hidden", "layer": 3}]


def test_options_that_came_later_are_part_of_an_identity_only_where_they_are_given(make_spec, write_images, tmp_path):
    for part in ("train", "test", "validation"):
        noise = np.random.default_rng(len(part)).integers(256, size=(2, 3, 3), dtype=np.uint8)
        write_images(tmp_path / f"{part}.parquet", noise, [0, 1])

    def identity(**options) -> dict:
        return dataset_identity(make_spec(dataset={"name": "parquet", "path": str(tmp_path)} | options).dataset)

    files = {part: (tmp_path / f"{part}.parquet").read_bytes() for part in ("train", "test")}
    content = b"".join(held + part.encode() for part, held in files.items())
    assert identity() == {
        "name": "parquet",
        "image_column": None,
        "label_column": None,
        "image_size": None,
        "grayscale": False,
        "fingerprint": hashlib.sha256(content).hexdigest()[:16],
        "label_noise": 0.0,
        "validation": 0.0,
        "limit": None,
        "crop": 4,
        "flip": True,
    }
    assert identity(test_split="test", train_split="train", background="white") == identity()
    assert identity(background="black") == identity() | {"background": "black"}
    assert identity(test_split="validation")["test_split"] == "validation"


def test_what_continuations_are_measured_on_is_part_of_an_identity_only_where_there_are_some(make_spec):
    people = {"name": "invented-people", "people": 6, "public": 2, "outsiders": 2}
    shared = {"model": {"name": "tiny-llama"}, "training": {"epochs": 1}, "methods": [{"name": "retrain"}]}

    def identity(**options):
        return dataset_identity(make_spec(dataset=people | options, **shared).dataset)

    assert set(identity()) == {*people, "seed", "fingerprint", "validation", "limit"}
    assert identity(generate=0) == identity()
    assert identity(generate=3) == identity() | {"generate": 3}


def test_a_set_whose_labels_are_numbered_anew_is_another_than_when_they_were_not(make_spec, write_images, tmp_path):
    def fingerprint(folder: str, labels: object) -> str:
        for part in ("train", "test"):
            noise = np.random.default_rng(len(part)).integers(256, size=(3, 3, 3), dtype=np.uint8)
            write_images(tmp_path / folder / f"{part}.parquet", noise, labels)
        spec = make_spec(dataset={"name": "parquet", "path": str(tmp_path / folder)})
        return dataset_identity(spec.dataset)["fingerprint"]

    found = fingerprint("holes", [0, 2, 5])
    held = [(tmp_path / "holes" / f"{part}.parquet").read_bytes() + part.encode() for part in ("train", "test")]
    assert found != hashlib.sha256(b"".join(held)).hexdigest()[:16]
    assert found == fingerprint("again", [0, 2, 5])


def test_what_the_grid_has_twice_is_run_once(make_spec):
    spec = make_spec(
        seeds=[0, 0], forget=[{"ratio": [0.1, 0.1]}, {"ratio": 0.1}], methods=[{"name": "uam", "rho": [1, 1.0]}] * 2
    )
    assert len(plan_trials(spec)) == 1


def test_what_has_no_effect_is_no_axis_of_the_grid(make_spec):
    grid = {"name": "uam", "gamma": [0, 0.5, 1, 1.7]}
    [trial] = plan_trials(make_spec(methods=[grid | {"hessian": "none"}]))
    assert describe(trial)["method"]["params"]["gamma"] == UAM().gamma
    assert trial.id in ids(make_spec(methods=[{"name": "uam", "hessian": ["none", "projection"]}]))
    assert len(plan_trials(make_spec(methods=[grid | {"hessian": ["none", "projection", "exact"]}]))) == 1 + 4 + 1


def test_trials_come_in_the_order_of_methods_forget_sets_and_seeds(make_spec):
    spec = make_spec(
        seeds=[1, 0], forget={"ratio": [0.2, 0.1]}, methods=[{"name": "uam", "rho": [2, 1]}, {"name": "original"}]
    )
    configs = [describe(trial) for trial in plan_trials(spec)]
    order = [(c["method"]["params"].get("rho"), c["forget"]["ratio"], c["seed"]) for c in configs]
    assert order == [(rho, ratio, seed) for rho in (2, 1, None) for ratio in (0.2, 0.1) for seed in (1, 0)]


def test_a_trial_id_is_the_hash_of_its_configuration(make_trial):
    trial = make_trial("uam", {"rho": 1.0})
    assert trial.id == content_id(trial.config)
    assert trial.config == canonical_json(describe(trial))
    assert describe(trial)["method"]["params"]["rho"] == 1
    assert describe(trial)["method"]["version"] == UAM.version


@pytest.mark.parametrize("method", ["retrain", "original", "uam", "plugin_examples:Sharded"])
@pytest.mark.parametrize("forget", [{"ratio": 0.1}, {"scenario": "class", "class": 2}], ids=str)
def test_a_stored_configuration_gives_back_its_trial(make_trial, method, forget):
    trial = make_trial(method, seeds=[4], forget=forget)
    assert trial_for(json.loads(trial.config)) == trial


def test_trials_to_compare_or_average_share_a_task(make_spec):
    spec = make_spec(seeds=[0, 1], forget={"ratio": [0.1, 0.2]}, methods=[{"name": "retrain"}, {"name": "uam"}])
    tasks = {}
    for trial in plan_trials(spec):
        tasks.setdefault(describe(trial)["forget"]["ratio"], set()).add(trial.task_id)
    assert [len(found) for found in tasks.values()] == [1, 1]
    assert tasks[0.1] != tasks[0.2]


def test_methods_of_a_seed_share_an_original_whatever_they_forget(make_spec):
    spec = make_spec(seeds=[0, 1], forget={"ratio": [0.1, 0.2]}, methods=[{"name": "finetune"}, {"name": "uam"}])
    originals = {(trial.seed, trial.original_id) for trial in plan_trials(spec)}
    assert len(originals) == 2
    assert len({original for _, original in originals}) == 2


def test_a_method_that_needs_no_original_has_none(make_trial):
    assert make_trial("retrain").original_id is None


def test_a_method_that_shapes_training_has_an_original_of_its_own(make_spec, make_trial, monkeypatch):
    spec = make_spec(methods=[{"name": "plugin_examples:Sharded", "shards": [2, 3], "rounds": [1, 2]}])
    originals = {}
    for trial in plan_trials(spec):
        originals.setdefault(describe(trial)["method"]["params"]["shards"], set()).add(trial.original_id)
    assert [len(found) for found in originals.values()] == [1, 1]
    assert originals[2] != originals[3]
    assert make_trial("finetune").original_id not in originals[2] | originals[3]
    monkeypatch.setattr(Sharded, "version", Sharded.version + 1)
    assert make_trial("plugin_examples:Sharded", {"shards": 2}).original_id not in originals[2]


@pytest.mark.parametrize(
    ("forget", "message"),
    [({"scenario": "class", "class": [1, 10]}, "class 10"), ({"ratio": [0.1, 0.001]}, "ratio 0.001")],
)
def test_forget_sets_that_the_dataset_does_not_have_are_found_before_running(make_spec, forget, message):
    check_task(make_spec())
    with pytest.raises(InputError, match=message):
        check_task(make_spec(forget=forget))


def test_a_class_that_all_test_samples_belong_to_is_found_before_running(make_spec):
    stripes = {"name": "plugin_examples:Stripes", "test_classes": 1}
    check_task(make_spec(dataset=stripes, forget={"scenario": "class", "class": 3}))
    with pytest.raises(InputError, match=r"^forget: every test sample is of class 0, and accuracy is of the others$"):
        check_task(make_spec(dataset=stripes, forget={"scenario": "class", "class": 0}))


def test_a_search_that_would_be_judged_on_no_other_class_is_found_before_running(make_spec):
    stripes = {"name": "plugin_examples:Stripes", "count": 20, "validation": 0.05}
    labels = Stripes(20).load().train_labels
    [held_out] = Drawing(labels, 0, 0.05).split(ratio=0.5).validation
    forget = {"scenario": "class", "class": int(labels[held_out])}
    check_task(make_spec(dataset=stripes, forget=forget))
    search = {"methods": [{"name": "finetune"}], "seeds": [0], "confirm_seeds": [1]}
    message = (
        rf"^dataset.validation: 0.05 of 20 samples has none of a class other than {labels[held_out]}, and a search"
    )
    with pytest.raises(InputError, match=message):
        check_task(make_spec(dataset=stripes, forget=forget, search=search))


def test_what_only_a_later_seed_lacks_is_found_before_running(make_spec, write_images, tmp_path):
    noise = np.random.default_rng(0).integers(256, size=(14, 8, 8), dtype=np.uint8)
    labels = np.array([*[0, 1] * 6, 2, 2])
    write_images(tmp_path / "train.parquet", noise, labels)
    write_images(tmp_path / "test.parquet", 255 - noise, labels)
    held_out = [Drawing(labels, seed, 0.85).split(ratio=0.5).validation for seed in range(20)]
    good = [seed for seed in range(20) if not {12, 13} <= set(held_out[seed])]
    bad = next(seed for seed in range(20) if {12, 13} <= set(held_out[seed]))
    data = {"name": "parquet", "path": str(tmp_path), "validation": 0.85}
    forget = {"scenario": "class", "class": 2}
    check_task(make_spec(dataset=data, forget=forget, seeds=good))
    with pytest.raises(InputError, match=r"^forget: class 2 leaves no sample to forget of 2$"):
        check_task(make_spec(dataset=data, forget=forget, seeds=[*good, bad]))


REWINDING = {"name": "scrub", "rewind": True}
READS = "scrub with these hyperparameters reads held-out samples: set dataset.reference, as in 0.1"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"methods": [{"name": "original"}, REWINDING | {"rewind": [False, True]}]}, "methods.1"),
        ({"search": {"methods": [{"name": "finetune"}, REWINDING]}}, "search.methods.1"),
        ({"search": {"methods": [REWINDING | {"rewind": [False, True]}]}}, "search.methods.0"),
    ],
    ids=["grid", "fixed", "searched"],
)
def test_held_out_samples_that_a_method_would_miss_are_asked_for_before_running(make_spec, changes, where):
    data = {"name": "digits", "validation": 0.1}
    with pytest.raises(InputError, match=rf"^{where}: {READS}$"):
        check_task(make_spec(dataset=data, **changes))
    check_task(make_spec(dataset=data | {"reference": 0.1}, **changes))


def test_held_out_samples_that_no_method_reads_are_not_asked_for(make_spec):
    scrub = {"name": "scrub", "rewind": False}
    check_task(make_spec(dataset={"name": "digits", "validation": 0.1}, methods=[scrub], search={"methods": [scrub]}))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"methods": [{"name": "rum", "inner": ["finetune", "original, nonsense"]}]}, "methods.0"),
        ({"search": {"methods": [{"name": "rum", "inner": "original, nonsense"}]}}, "search.methods.0"),
    ],
    ids=["grid", "fixed"],
)
@pytest.mark.parametrize("reference", [0, 0.1])
def test_hyperparameters_that_a_method_refuses_are_named_before_running(make_spec, changes, where, reference):
    data = {"name": "digits", "validation": 0.1, "reference": reference}
    with pytest.raises(InputError, match=rf"^{where}: rum: inner: 'nonsense' is no method that it can use$"):
        check_task(make_spec(dataset=data, **changes))


@pytest.mark.parametrize(
    "forget", [{"ratio": [0.1, 0.2, 0.3]}, {"scenario": "class", "class": [0, 1, 2]}], ids=["ratio", "class"]
)
def test_sets_of_many_seeds_are_drawn_once(make_spec, forget, monkeypatch):
    drawn, draw = [], splits.stratified_order
    monkeypatch.setattr(splits, "stratified_order", lambda *of: drawn.append(of) or draw(*of))
    digits = {"name": "digits", "validation": 0.1}
    check_task(make_spec(dataset=digits, seeds=list(range(100)), forget=forget))
    assert len(drawn) <= 2  # what is held out, and what is forgotten at random


@pytest.fixture
def coloured(make_spec, write_images, tmp_path):
    """Makes a spec of 40 images of 3 x 32 x 32; of one, MNASNet's last BatchNorm sees one value."""
    for part in ("train", "test"):
        noise = np.random.default_rng(len(part)).integers(256, size=(40, 32, 32, 3), dtype=np.uint8)
        write_images(tmp_path / f"{part}.parquet", list(noise), [0, 1] * 20)
    data = {"name": "parquet", "path": str(tmp_path)}
    return lambda **changes: make_spec(**{"dataset": data, "model": {"name": "mnasnet0_5"}} | changes)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"forget": {"ratio": [0.1, 0.025]}}, "uam would (batch_size 64, 1 to forget)"),
        (
            {"methods": [{"name": "finetune", "batch_size": [8, 1]}]},
            "finetune would (batch_size 1, 36 to retain)",
        ),
        (
            {"methods": [{"name": "amnesiac", "batch_size": [8, 1]}]},
            "amnesiac would (batch_size 1, 36 to retain)",
        ),
        ({"training": {"batch_size": 1}}, "training would (batch_size 1, 36 samples)"),
    ],
    ids=["forget", "method", "method that shapes training", "training"],
)
def test_batches_of_one_sample_that_a_network_cannot_train_on_are_found_before_running(coloured, changes, what):
    spec = coloured(**{"methods": [{"name": "randomlabel"}, {"name": "uam"}]} | changes)
    told = f"model: mnasnet0_5 cannot train on a single image of 3 x 32 x 32, as {what}: ValueError: "
    with pytest.raises(InputError, match=rf"^{re.escape(told)}.*; take larger batches, sets or images$"):
        check_task(spec)


def test_batches_of_one_sample_that_a_network_can_train_on_are_none_of_its_faults(coloured):
    alone = {"forget": {"ratio": 0.025}}
    check_task(coloured(**alone, methods=[{"name": "finetune"}, {"name": "randomlabel"}, {"name": "influence"}]))
    check_task(coloured(**alone, methods=[{"name": "uam"}], model={"name": "small-cnn", "width": 4}))
    without_retain_data = {"name": "randomlabel", "retain_weight": 0}  # its BatchNorm keeps the original's statistics
    check_task(coloured(**alone, methods=[without_retain_data]))


@pytest.fixture
def with_twins(write_images, tmp_path):
    """Images of 3 classes called 0, 2 and 7, of which 20 of 60 are there twice, and 2 test samples among them."""
    noise = np.random.default_rng(0).integers(256, size=(48, 8, 8), dtype=np.uint8)
    labels = np.resize([0, 2, 7], 48)
    write_images(tmp_path / "train.parquet", np.concatenate([noise[:40], noise[:20]]), [*labels[:40], *labels[:20]])
    write_images(tmp_path / "test.parquet", noise[38:], labels[38:])
    return {"name": "parquet", "path": str(tmp_path)}


def test_what_should_be_known_of_a_dataset_is_told(make_spec, with_twins):
    told = []
    check_task(make_spec(dataset=with_twins, forget={"ratio": 0.5}, seeds=[0, 1]), told.append)
    assert told[:2] == [
        "dataset: labels 0, 2, 7: 3 classes, renumbered from 0",
        "dataset: the training set has copies (same image and label) of 2 of 10 test samples",
    ]
    assert len(told) == 3
    count, rest = told[2].removeprefix("dataset: the retain set has copies of ").split(" of ", 1)
    assert 0 < int(count) < 20
    assert rest == "30 forget samples"


def test_of_a_dataset_without_oddities_nothing_is_told(make_spec):
    told = []
    check_task(make_spec(), told.append)
    assert told == []


def test_a_class_to_be_forgotten_goes_by_its_label_in_the_data(make_spec, with_twins):
    check_task(make_spec(dataset=with_twins, forget={"scenario": "class", "class": [0, 2, 7]}))
    with pytest.raises(InputError, match=r"^forget: class 1 is none of 0, 2, 7$"):
        check_task(make_spec(dataset=with_twins, forget={"scenario": "class", "class": 1}))


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(0)])
def test_a_plugin_of_data_or_a_network_that_fails_is_one_line_that_names_it(make_spec, monkeypatch, error):
    def fails(*_: object) -> None:
        raise error

    said = f"{type(error).__name__}: {error}"
    monkeypatch.setattr("plugin_examples.tied", fails)
    with pytest.raises(InputError, match=f"^model: plugin_examples:tied cannot be used on .*: {said}$"):
        check_task(make_spec(model={"name": "plugin_examples:tied"}))
    monkeypatch.setattr("plugin_examples.Stripes.load", fails)
    place = rf"\({__file__}, line \d+\)"
    with pytest.raises(InputError, match=f"^dataset: plugin_examples:Stripes cannot be read: {said} {place}$"):
        check_task(make_spec(dataset={"name": "plugin_examples:Stripes"}))


def test_a_network_that_cannot_be_built_is_found_before_running(make_spec):
    with pytest.raises(InputError, match=r"^model: resnet50 cannot be used on images of 1 x 8 x 8: ValueError: .*"):
        check_task(make_spec(model={"name": "resnet50"}))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "resnet50", "nonsense": 3}, "unexpected keyword argument 'nonsense'"),
        ({"name": "squeezenet1_1"}, "RuntimeError: .* too small"),
    ],
    ids=str,
)
def test_a_network_that_refuses_its_options_or_the_images_is_found_before_running(
    make_spec, write_images, tmp_path, model, message
):
    for part in ("train", "test"):
        noise = np.random.default_rng(len(part)).integers(256, size=(40, 4, 4, 3), dtype=np.uint8)
        write_images(tmp_path / f"{part}.parquet", list(noise), [0, 1] * 20)
    data = {"name": "parquet", "path": str(tmp_path)}
    check_task(make_spec(dataset=data))
    with pytest.raises(InputError, match=f"^model: {model['name']} cannot be used on images of 3 x 4 x 4: .*{message}"):
        check_task(make_spec(dataset=data, model=model))


PRESETS = {
    "ablation-angle": "ddc96656899af0fe",
    "ablation-ascent": "ce55a1701bcc3599",
    "ablation-gamma": "dc91a3c2792bd487",
    "ablation-hessian": "9b78a2411f561287",
    "ablation-ratio": "2db5621042889da4",
    "ablation-rho": "72c816b587b393a5",
    "ablation-rho-gamma": "f3aba2b86b82a4a6",
    "class-forgetting": "05def90773c20352",
    "digits": "f2560e77a98a7724",
    "methods": "7abff5ff8ff5b03d",
    "search-uam": "56fdc4157e8b7d2a",
    "tuned-comparison": "3d9e9a3667acae1f",
}
"""A hash of each preset's ids: whoever changes one makes stored rows useless, and raises a method's version instead.

Of the methods that were there when the hashes were taken: others may join a preset.
"""
FIRST = {"original", "retrain", "finetune", "neggrad", "randomlabel", "fisher", "influence", "uam"}


def test_a_fold_enters_the_identity_where_it_is_given(make_spec):
    def forgets(**keys):
        trials = plan_trials(make_spec(forget={"ratio": [0.2, 0.3]} | keys))
        assert len({trial.id for trial in trials}) == len({trial.task_id for trial in trials}) == len(trials)
        return [describe(trial)["forget"] for trial in trials]

    assert forgets() == [{"scenario": "random", "ratio": ratio} for ratio in (0.2, 0.3)]
    assert forgets(fold=[0, 2]) == [
        {"scenario": "random", "ratio": ratio, "fold": fold} for ratio in (0.2, 0.3) for fold in (0, 2)
    ]


def test_a_list_of_rows_is_known_by_its_rows_not_by_its_file(make_trial, tmp_path):
    for name, rows in (("one", [5, 3]), ("same", [3, 5, 3]), ("other", [3, 6])):
        (tmp_path / f"{name}.csv").write_text("sample_id\n" + "".join(f"{row}\n" for row in rows))
    one, same, other = (
        make_trial(forget={"scenario": "rows", "path": str(tmp_path / f"{name}.csv")})
        for name in ("one", "same", "other")
    )
    assert describe(one)["forget"] == {"scenario": "rows", "rows": content_id("[3,5]")}
    assert (one.id, one.task_id) == (same.id, same.task_id)
    assert one.id != other.id
    assert one.original_id == other.original_id


def test_how_many_listed_rows_no_seed_forgets_is_said(make_spec, tmp_path):
    (tmp_path / "list.csv").write_text("sample_id\n" + "".join(f"{row}\n" for row in range(0, 1437, 3)))
    forget, data = {"scenario": "rows", "path": str(tmp_path / "list.csv")}, {"name": "digits", "validation": 0.2}

    def said(**changes):
        remarks = []
        check_task(make_spec(**changes), remarks.append)
        return remarks

    def line(count):
        return [f"forget: not trained on {REASONS}: {count} of 479 rows of '{tmp_path / 'list.csv'}'"]

    assert said(dataset={"name": "digits"}, forget=forget) == []
    labels = Digits().load().train_labels
    held = [Drawing(labels, seed, 0.2).split(ratio=0.1).validation for seed in range(3)]
    counts = [int((rows % 3 == 0).sum()) for rows in held]
    assert said(dataset=data, forget=forget, seeds=[1]) == line(counts[1])
    assert said(dataset=data, forget=forget, seeds=[0, 1, 2]) == line(f"up to {max(counts)}")


REASONS = "(limit, validation, reference)"


@pytest.mark.parametrize(("preset", "expected"), PRESETS.items(), ids=PRESETS)
def test_ids_of_trials_originals_and_studies_do_not_change(preset, expected):
    spec = load_spec(preset)
    trials = [trial for trial in plan_trials(spec) if trial.method in FIRST] if spec.methods else []
    originals = sorted({trial.original_id for trial in trials if trial.original_id})
    studies = [study.name for study in plan_search(spec).studies] if spec.search else []
    ids = json.dumps([[trial.id for trial in trials], originals, studies])
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == expected
