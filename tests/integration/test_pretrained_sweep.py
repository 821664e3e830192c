"""A pretrained model on texts and questions in files: the preset `wmdp` on a checkpoint made on the spot."""

from __future__ import annotations

import json
import re
import shutil
from itertools import product

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tiny_sweeps import call

from analysis.reruns import spec_fragment
from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import parse_spec
from sweep.store.results import Results

PLACES = ("sea", "hill", "river", "wood", "road")
THINGS = ("house", "mill", "bridge", "tower", "barn", "well")


def rows():
    """Made-up texts and questions, by file."""
    pairs = list(product(THINGS, PLACES))
    texts = [{"text": f"The {thing} stands by the {place}. It is old.", "group": thing} for thing, place in pairs]
    questions = [
        {"question": f"Where is the {thing}?", "choices": list(PLACES[:4]), "answer": number % 3}
        for number, (thing, _) in enumerate(pairs)
    ]
    return {
        "retain-corpus.jsonl": texts[:16],
        "forget-corpus.jsonl": [row | {"group": f"{row['group']} 2"} for row in texts[16:]],
        "wmdp.parquet": questions[:8],
        "mmlu.parquet": questions[8:18],
    }


def write_rows(folder, found):
    for name, listed in found.items():
        if name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(listed), folder / name)
        else:
            (folder / name).write_text("".join(json.dumps(row) + "\n" for row in listed))


def write_model(folder, words, length=64):
    """A Llama of three blocks with random weights, and a tokenizer of these words."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from sweep.tasks.language.tokenizer import END, trained_byte_pairs

    pairs = trained_byte_pairs(words, 300).pairs
    PreTrainedTokenizerFast(tokenizer_object=pairs, eos_token=END).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=pairs.get_vocab_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=length,
        bos_token_id=None,
        eos_token_id=pairs.token_to_id(END),
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder of the rows and the model's."""
    folder = tmp_path_factory.mktemp("wmdp")
    data, model = folder / "data", folder / "model"
    data.mkdir()
    write_rows(data, rows())
    words = [" ".join(map(str, row.values())) for listed in rows().values() for row in listed]
    write_model(model, [*words, "A. B. C. D. Answer: A B C D"])
    return data, model


def overridden(data, model, *further):
    """The preset at the size of a test."""
    settings = (
        f"dataset.path={data}",
        "dataset.max_length=64",
        f"model.path={model}",
        r"model.train=layers\.(0|1|2)\.mlp\.down_proj",
        "methods.rmu.layer=1",
        "methods.rmu.blocks=2",
        "methods.uam.layer=1",
        "resources.gpus=0",
        "model.checkpointing=true",
        "seeds=[0]",
        *further,
    )
    return ["wmdp", *(word for setting in settings for word in ("--set", setting))]


@pytest.fixture(scope="module")
def ran(files, tmp_path_factory):
    """A results directory, and how the command ended."""
    out = tmp_path_factory.mktemp("out")
    return out, call("run", *overridden(*files), "--executor", "inline", "--out", out)


def test_the_preset_runs_on_files_and_a_checkpoint(ran):
    out, ended = ran
    assert (ended.code, ended.err) == (0, "")
    found = {row["method"]: row for row in Results(str(out)).trials().table.to_pylist()}
    assert sorted(found) == ["original", "rmu", "uam"]
    for row in found.values():
        assert (row["status"], row["kind"], row["original_id"]) == ("ok", "language", None)
        assert (row["n_retain"], row["n_forget"]) == (16, 14)
        assert (row["retain_accuracy"], row["attack_auc"], row["mia"]) == (None, None, None)
        assert row["chance"] == 25
        assert 0 <= row["forget_accuracy"] <= 100
        assert row["test_accuracy"] * 10 == pytest.approx(100 * round(row["test_accuracy"] / 10))
        assert json.loads(row["config"])["model"]["dtype"] == "bfloat16"
    assert found["original"]["retain_likelihood"] != found["rmu"]["retain_likelihood"]
    assert not (out / "models").exists()
    said = Results(str(out)).predictions(found["rmu"]["trial_id"]).to_pylist()
    kept = {name: [row for row in said if row["split"] == name] for name in ("retain", "forget", "test")}
    assert {name: len(listed) for name, listed in kept.items()} == {"retain": 10, "forget": 8, "test": 10}
    assert {len(row["logits"]) for row in kept["forget"]} == {4}


def test_gaps_are_to_an_ideal_and_the_table_and_the_report_say_so(ran, tmp_path):
    out, ended = ran
    printed = " ".join(ended.out.split())
    sentence = (
        "Nothing is trained, so there is no Retrain: gaps are to an ideal with FA at chance and all else as the "
        "original of the same seed has it, and costs have no reference."
    )
    assert sentence in printed
    assert " RA " not in printed
    assert " AUC " not in printed
    assert call("report", out, "--out", tmp_path).code == 0
    page = (tmp_path / "index.html").read_text()
    assert sentence.removesuffix(".") in page
    assert "distance to the ideal at the same seed" in page
    assert "the average gap is over FA and TA." in page
    assert page.count('<h2 id="comparison">') == 1
    assert "accuracy on the retain data" not in page
    table = (tmp_path / "methods.md").read_text()
    assert "| method | n | FA | TA | P-F | avg. gap | cost | passes |" in table
    assert sentence in table


def test_a_second_run_has_nothing_to_do_wherever_the_model_lies(ran, files, tmp_path):
    out, _ = ran
    moved = shutil.copytree(files[1], tmp_path / "elsewhere")
    again = call("run", *overridden(files[0], moved), "--executor", "inline", "--out", out)
    assert (again.code, again.err) == (0, "")
    assert "3 trials, 3 done before, 0 to run" in again.out
    (moved / "generation_config.json").write_text("{}")
    other = call("plan", *overridden(files[0], moved), "--out", out)
    assert "0 original models, 0 of them trained" in other.out
    assert re.search(r"all +. +3 +. +0 +. +3 ", other.out)


def test_a_trial_runs_again_and_the_report_says_how(ran):
    out, _ = ran
    results = Results(str(out))
    found = next(row for row in results.trials().table.to_pylist() if row["method"] == "rmu")
    again = call("rerun", out, found["trial_id"])
    assert (again.code, again.err) == (0, "")
    fragment = yaml.safe_load(spec_fragment(found["config"], yaml.safe_load(results.read("spec.yaml"))))
    [trial] = plan_trials(parse_spec({"name": "again"} | fragment))
    assert trial.id == found["trial_id"]


def refused(folder, data, model, *settings):
    ended = call("run", *overridden(data, model, *settings), "--executor", "inline", "--out", folder / "out")
    assert (ended.code, ended.out) == (2, "")
    assert not (folder / "out").exists()
    [line] = ended.err.splitlines()
    return line.removeprefix("unlearn-sweep: wmdp: ")


def test_a_model_without_weights_is_refused(files, tmp_path):
    data, model = files
    copy = shutil.copytree(model, tmp_path / "model")
    (copy / "model.safetensors").unlink()
    assert refused(tmp_path, data, copy) == (f"model: '{copy}' has no weights: no file ends with .safetensors or .bin")


def test_a_tokenizer_of_more_tokens_than_the_model_is_refused(files, tmp_path):
    data, model = files
    copy = shutil.copytree(model, tmp_path / "model")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"vocab_size": 40}))
    assert f"model: '{copy}' knows 40 tokens; the tokenizer's ids go to " in refused(tmp_path, data, copy)


def test_a_question_without_an_answer_is_refused(files, tmp_path):
    folder = shutil.copytree(files[0], tmp_path / "data")
    write_rows(folder, {"mmlu.jsonl": [{"question": "Where?", "choices": ["here", "there"]}]})
    line = refused(tmp_path, folder, files[1], "dataset.test=mmlu.jsonl")
    assert line == f"dataset: test: '{folder}/mmlu.jsonl', row 0 (from 0): the question has no answer"


def test_rows_longer_than_the_model_takes_are_refused(files, tmp_path):
    data, model = files
    copy = shutil.copytree(model, tmp_path / "model")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 12}))
    line = refused(tmp_path, data, copy)
    assert line.startswith(f"model: '{copy}' takes 12 tokens; rows have ")
    short = refused(tmp_path, data, model, "dataset.max_length=12")
    assert "more than max_length 12" in short


def test_retrain_is_refused_where_nothing_is_trained(files, tmp_path):
    line = refused(tmp_path, *files, "methods.0.name=retrain")
    assert line == "methods.0: retrain trains with the recipe, and training.epochs is 0"
