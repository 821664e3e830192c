"""Pretrained models, from a checkpoint made on the spot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from sweep.errors import InputError
from sweep.tasks.language.encoding import encode_rows
from sweep.tasks.language.pretrained import model_fingerprint, model_folder, pretrained
from sweep.tasks.language.scoring import candidate_scores
from sweep.tasks.language.texts import Layout, Row
from sweep.tasks.language.tiny_llama import tiny_llama
from sweep.tasks.language.tokenizer import tokenizer_of

IDS = torch.tensor([[1, 2, 3, 4]])


@pytest.fixture
def copied(llama_folder, tmp_path):
    return shutil.copytree(llama_folder, tmp_path / "copy")


def test_the_weights_are_those_of_the_folder(llama_folder):
    tokenizer = tokenizer_of(llama_folder)
    torch.manual_seed(0)
    made = tiny_llama(tokenizer.vocabulary, 32, width=16, layers=2, heads=2)
    torch.manual_seed(5)
    loaded = pretrained(tokenizer.vocabulary, 32, path=llama_folder)
    assert torch.equal(loaded(IDS), made(IDS))
    assert all(weight.requires_grad for weight in loaded.parameters())


def test_questions_are_scored_with_its_own_tokenizer(llama_folder):
    tokenizer = tokenizer_of(llama_folder)
    rows = [Row("Where is the house?", ("by the sea", "by"), 0)]
    encoded = encode_rows(rows, tokenizer, Layout(), "train")
    assert encoded.inputs[0, 0, 0] == tokenizer.model.bos_token_id
    assert (encoded.targets[0] == tokenizer.end).sum(1).tolist() == [1, 1]
    network = pretrained(tokenizer.vocabulary, encoded.inputs.shape[-1], path=llama_folder).eval()
    scores = candidate_scores(network, encoded, torch.device("cpu"), 1)
    assert scores.shape == (1, 2)
    assert (scores < 0).all()


def test_only_what_the_pattern_finds_is_trained(llama_folder):
    network = pretrained(8, 32, path=llama_folder, train=r"layers\.1\.mlp\.down_proj")
    trained = [name for name, weight in network.named_parameters() if weight.requires_grad]
    assert trained == ["network.model.layers.1.mlp.down_proj.weight"]


def test_type_attention_and_checkpointing(llama_folder):
    plain = pretrained(8, 32, path=llama_folder)
    assert plain.network.config._attn_implementation == "eager"
    other = pretrained(8, 32, path=llama_folder, dtype="bfloat16", attention="sdpa")
    assert other.network.config._attn_implementation == "sdpa"
    assert {weight.dtype for weight in other.parameters()} == {torch.bfloat16}
    saving = pretrained(8, 32, path=llama_folder, checkpointing=True).train()
    assert saving.network.is_gradient_checkpointing
    for network in (plain, saving):
        network(IDS).square().sum().backward()
    for one, other_weight in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other_weight.grad)


def test_a_fingerprint_is_of_content_not_of_place(llama_folder, copied):
    before = model_fingerprint(llama_folder)
    assert model_fingerprint(str(copied)) == before
    torch.manual_seed(3)
    tiny_llama(tokenizer_of(llama_folder).vocabulary, 32, width=16, layers=2, heads=2).network.save_pretrained(copied)
    weights = model_fingerprint(str(copied))
    (copied / "config.json").write_text((copied / "config.json").read_text().replace("}", " }", 1))
    assert len({before, weights, model_fingerprint(str(copied))}) == 3


def test_an_unchanged_file_is_read_once(copied, monkeypatch):
    before = model_fingerprint(str(copied))
    monkeypatch.setattr(Path, "open", None)
    assert model_fingerprint(str(copied)) == before


def broken(copied, how):
    if how == "no weights":
        (copied / "model.safetensors").unlink()
    elif how == "no config":
        (copied / "config.json").unlink()
    elif how == "fewer weights":
        config = json.loads((copied / "config.json").read_text())
        (copied / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    elif how == "damaged":
        (copied / "model.safetensors").write_bytes(b"nothing")
    return str(copied)


@pytest.mark.parametrize(
    ("how", "options", "message"),
    [
        ("no weights", {}, "has no weights: no file ends with .safetensors or .bin"),
        ("no config", {}, "has no config.json, so it is no model of transformers"),
        ("fewer weights", {}, "has no weights for 9 of its parameters, such as model.layers.2."),
        ("damaged", {}, "cannot be loaded: "),
        ("", {"vocabulary": 10_000}, "tokens; the tokenizer's ids go to 9999"),
        ("", {"length": 33}, "takes 32 tokens; rows have 33: set max_length"),
        ("", {"train": "("}, "train '(' is no regular expression: "),
        ("", {"train": "nowhere"}, "train 'nowhere' is found in no parameter's name"),
    ],
    ids=["no weights", "no config", "fewer weights", "damaged", "ids", "length", "pattern", "nothing trained"],
)
def test_a_model_that_does_not_go(copied, how, options, message):
    with pytest.raises(InputError) as caught:
        pretrained(**{"vocabulary": 8, "length": 32, "path": broken(copied, how)} | options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_code_that_lies_with_a_model_is_not_run(copied, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # transformers would ask
    (copied / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = json.loads((copied / "config.json").read_text())
    own = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    (copied / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": own}))
    settings = json.loads((copied / "tokenizer_config.json").read_text())
    own_tokenizer = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}
    (copied / "tokenizer_config.json").write_text(json.dumps(settings | own_tokenizer))
    with pytest.raises(InputError, match="cannot be loaded: "):
        pretrained(8, 32, path=str(copied))
    with pytest.raises(InputError, match="has no tokenizer that can be read: "):
        tokenizer_of(str(copied))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["no-one/has-this-model", "not/a/name"])
def test_a_model_that_is_not_here(name):
    with pytest.raises(InputError) as caught:
        model_folder(name)
    assert str(caught.value) == (
        f"no folder '{name}', and no model of this name on this machine; set model.download to true to fetch it"
    )
