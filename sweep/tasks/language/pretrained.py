"""Pretrained causal language models from a folder of transformers' layout."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal

from safetensors import SafetensorError
from torch import nn

from sweep.errors import InputError, first_line
from sweep.store.content_ids import content_id
from sweep.store.location import expanded
from sweep.tasks.language.tiny_llama import NextToken

CONTENT = ("*.json", "*.safetensors", "*.bin", "*.model", "*.txt", "*.jinja")
"""The files of a model: weights, configuration, tokenizer."""

WEIGHTS = (".safetensors", ".bin")


def pretrained(
    vocabulary: int,
    length: int,
    *,
    path: str,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    train: str = "",
    attention: Literal["eager", "sdpa", "flash_attention_2"] = "eager",
    checkpointing: bool = False,
    download: bool = False,
) -> NextToken:
    """A pretrained model with its own weights. Code that lies with a model is never run.

    Args:
        vocabulary: one more than the highest token id.
        length: the most tokens of a row.
        path: folder, or the name of a model on transformers' hub.
        dtype: of the weights.
        train: regular expression; only parameters in whose name it is found are trained. All of them if empty.
        attention: only "eager" has second derivatives and a forward mode, which some methods need.
        checkpointing: compute activations again in the backward pass, which takes time and saves memory.
        download: fetch what is not on this machine.

    Raises:
        InputError: there is no such model, or it does not go with the tokens or the options.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = model_folder(path, download=download)
    try:
        network, loading = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, ImportError, SafetensorError, UnpicklingError) as error:
        raise InputError(f"'{path}' cannot be loaded: {first_line(error)}") from error
    if missing := sorted(loading["missing_keys"]):
        raise InputError(f"'{path}' has no weights for {len(missing)} of its parameters, such as {missing[0]}")
    known = network.get_input_embeddings().num_embeddings
    _require_fit(path, vocabulary, known, length, getattr(network.config, "max_position_embeddings", length))
    _train_only(network, train, path)
    if checkpointing:
        network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return NextToken(network)


def check_pretrained(
    vocabulary: int, length: int, *, path: str, train: str = "", download: bool = False, **options: object
) -> None:
    """Check what can be told without reading the weights.

    Raises:
        InputError: as `pretrained`.
    """
    from transformers import AutoConfig

    folder = model_folder(path, download=download)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be loaded: {first_line(error)}") from error
    _require_fit(path, vocabulary, int(config.vocab_size), length, getattr(config, "max_position_embeddings", length))
    _expression(train)


def _expression(train: str) -> re.Pattern[str]:
    try:
        return re.compile(train)
    except re.error as error:
        raise InputError(f"train '{train}' is no regular expression: {error}") from error


def _require_fit(path: str, vocabulary: int, known: int, length: int, most: int) -> None:
    if vocabulary > known:
        raise InputError(f"'{path}' knows {known} tokens; the tokenizer's ids go to {vocabulary - 1}")
    if length > most:
        raise InputError(f"'{path}' takes {most} tokens; rows have {length}: set max_length")


def _train_only(network: nn.Module, pattern: str, path: str) -> None:
    expression = _expression(pattern)
    chosen = {name: expression.search(name) is not None for name, _ in network.named_parameters()}
    if not any(chosen.values()):
        raise InputError(f"train '{pattern}' is found in no parameter's name of '{path}', such as {next(iter(chosen))}")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(chosen[name])


def model_folder(path: str, *, download: bool = False) -> Path:
    """The folder of a model's files: `path`, or where the hub's files are kept on this machine.

    Raises:
        InputError: it has no configuration or no weights; there is no such model here, or with `download` anywhere.
    """
    folder = expanded(path)
    if not folder.is_dir():
        folder = _from_hub(path, download)
    if not (folder / "config.json").is_file():
        raise InputError(f"'{path}' has no config.json, so it is no model of transformers")
    if not any(file.suffix in WEIGHTS for file in folder.iterdir()):
        raise InputError(f"'{path}' has no weights: no file ends with {' or '.join(WEIGHTS)}")
    return folder


def model_fingerprint(path: str, *, download: bool = False) -> str:
    """16 hexadecimal digits of a hash of the model's files. A file that has not changed is read once per process.

    Raises:
        InputError: as `model_folder`.
    """
    folder = model_folder(path, download=download)
    files = sorted({file for pattern in CONTENT for file in folder.glob(pattern) if file.is_file()})
    states = ((file, file.stat()) for file in files)
    return content_id("".join(f"{file.name} {_hash(file, at.st_size, at.st_mtime_ns)}\n" for file, at in states))


@cache
def _hash(file: Path, size: int, modified: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _from_hub(path: str, download: bool) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, allow_patterns=[*CONTENT], local_files_only=not download))
    except (OSError, ValueError) as error:
        hint = "" if download else "; set model.download to true to fetch it"
        raise InputError(f"no folder '{path}', and no model of this name on this machine{hint}") from error
