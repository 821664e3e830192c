"""A checkpoint of transformers' layout, with random weights and a tokenizer of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sweep.tasks.language.tiny_llama import tiny_llama
from sweep.tasks.language.tokenizer import END, trained_byte_pairs

BEGIN = "<begin>"


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Llama of 16 numbers per position and 2 blocks; its tokenizer puts a token before and one after every text."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("llama")
    pairs = trained_byte_pairs(["the house by the sea", "Where is the house? It is by the sea."], 80).pairs
    pairs.add_special_tokens([BEGIN])
    ids = [(token, pairs.token_to_id(token)) for token in (BEGIN, END)]
    pairs.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A {END}", special_tokens=ids)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pairs, bos_token=BEGIN, eos_token=END)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    tiny_llama(len(tokenizer), 32, width=16, layers=2, heads=2).network.save_pretrained(folder)
    return str(Path(folder))
