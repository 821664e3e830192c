"""Tokenizers: what the rest needs of one, a byte-pair encoding trained on the spot, and a pretrained model's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sweep.errors import InputError, first_line
from sweep.store.content_ids import content_id

if TYPE_CHECKING:
    import tokenizers
    from transformers import PreTrainedTokenizerBase

END = "<end>"


class Tokenizer(Protocol):
    """Text to token ids and back."""

    @property
    def vocabulary(self) -> int:
        """One more than the highest id."""

    @property
    def end(self) -> int | None:
        """The id of the end-of-text token, if there is one."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with what the tokenizer puts before every text, without the end-of-text token."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""

    def fingerprint(self) -> str:
        """16 hexadecimal digits of a hash of what the tokenizer does."""


@dataclass(frozen=True)
class BytePairs:
    """A byte-level byte-pair encoding (Sennrich et al., ACL 2016)."""

    pairs: tokenizers.Tokenizer

    @property
    def vocabulary(self) -> int:
        return int(self.pairs.get_vocab_size())

    @property
    def end(self) -> int | None:
        return self.pairs.token_to_id(END)

    def encode(self, text: str) -> list[int]:
        return list(self.pairs.encode(text).ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.pairs.decode(list(ids)))

    def fingerprint(self) -> str:
        return content_id(self.pairs.to_str())


def trained_byte_pairs(texts: Iterable[str], vocabulary: int = 512) -> BytePairs:
    """A byte-pair encoding of at most `vocabulary` tokens; it is the same wherever it is trained.

    It knows the bytes of these texts, and passes over others.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        show_progress=False,
    )
    pairs.train_from_iterator(texts, trainer)
    return BytePairs(pairs)


@dataclass(frozen=True)
class ModelTokenizer:
    """The tokenizer of a model of transformers. Its ids begin with the model's begin-of-text token, if it uses one."""

    model: PreTrainedTokenizerBase

    @property
    def vocabulary(self) -> int:
        ids: dict[str, int] = self.model.get_vocab()
        return 1 + max(ids.values())

    @property
    def end(self) -> int | None:
        end: int | None = self.model.eos_token_id
        return end

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.model.encode(text)
        return ids[:-1] if ids and ids[-1] == self.end else ids

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.model.decode(list(ids), skip_special_tokens=True))

    def fingerprint(self) -> str:
        return content_id(self.model.backend_tokenizer.to_str())


def tokenizer_of(folder: str) -> ModelTokenizer:
    """The tokenizer that lies with a pretrained model.

    Raises:
        InputError: the folder has none that runs without code of its own.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(f"'{folder}' has no tokenizer that can be read: {first_line(error)}") from error
    if not tokenizer.is_fast:
        raise InputError(f"'{folder}' has no tokenizer.json: only fast tokenizers are read")
    return ModelTokenizer(tokenizer)
