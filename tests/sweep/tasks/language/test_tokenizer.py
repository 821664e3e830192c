"""Tokenizers: a byte-pair encoding that is the same everywhere, and a model's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import InputError
from sweep.tasks import language
from sweep.tasks.language.tokenizer import tokenizer_of, trained_byte_pairs

WORDS = ["the house by the sea", "the sea by the house", "naïve cafés: 12 + 30 = 42"]


def test_text_comes_back_from_its_tokens():
    tokenizer = trained_byte_pairs(WORDS, 60)
    for text in WORDS:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert max(ids) < tokenizer.vocabulary <= 60
        assert tokenizer.end not in ids
    assert len(tokenizer.encode(" the house")) == 2  # the pairs are those of the texts
    assert tokenizer.decode([*tokenizer.encode("sea"), tokenizer.end]) == "sea"


def test_it_is_the_same_in_another_process_with_other_hashes_and_threads():
    program = (
        "from sweep.tasks.language.invented_people import InventedPeople\n"
        "from sweep.tasks.language.python_manual import PythonManual\n"
        "for data in (InventedPeople(), PythonManual()):\n"
        "    texts = data.load(); print(texts.tokenizer.fingerprint(), texts.fingerprint())"
    )
    said = []
    for hashes, threads in (("1", "1"), ("2", "4")):
        env = os.environ | {"PYTHONHASHSEED": hashes, "RAYON_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        said.append(done.stdout.split())
    assert said[0] == said[1]
    assert len(set(said[0])) == 4


def test_no_module_loads_transformers_before_it_is_needed():
    folder = Path(language.__file__).parent
    modules = ", ".join(
        f"sweep.tasks.language.{path.stem}" for path in sorted(folder.glob("*.py")) if path.stem[0] != "_"
    )
    program = f"import sys, {modules}; print({{'transformers', 'tokenizers', 'huggingface_hub'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_other_texts_make_another_tokenizer():
    assert trained_byte_pairs(WORDS, 60).fingerprint() != trained_byte_pairs(WORDS[:2], 60).fingerprint()


def test_a_models_tokenizer(llama_folder):
    tokenizer = tokenizer_of(llama_folder)
    ids = tokenizer.encode("the sea")
    assert ids[0] == tokenizer.model.bos_token_id  # it is put before every text
    assert ids[-1] != tokenizer.end  # though this tokenizer puts it after every text
    assert tokenizer.decode(ids) == "the sea"
    assert tokenizer.vocabulary == 1 + max(tokenizer.model.get_vocab().values())
    assert tokenizer.fingerprint() == tokenizer_of(llama_folder).fingerprint()


def test_a_folder_without_a_tokenizer(tmp_path):
    with pytest.raises(InputError, match="has no tokenizer that can be read") as caught:
        tokenizer_of(str(tmp_path))
    assert "\n" not in str(caught.value)
