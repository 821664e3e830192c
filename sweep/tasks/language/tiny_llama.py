"""Networks of language: token ids in, logits of the next token out. The tiny one starts from random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from sweep.tasks.sections import Count

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class NextToken(nn.Module):
    """A causal language model of transformers: ids int64 [B, L] -> logits [B, L, V].

    There is no mask: positions look back only, so what is padded on the right changes nothing before it.
    """

    def __init__(self, network: PreTrainedModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(input_ids=inputs, use_cache=False).logits
        return logits


def tiny_llama(vocabulary: int, length: int, *, width: Count = 128, layers: Count = 4, heads: Count = 4) -> NextToken:
    """A Llama with random weights (Touvron et al., 2023), input and output embeddings tied; 0.84 M at 512 tokens.

    Its attention is transformers' "eager" one, which has second derivatives and a forward mode; "sdpa" has neither.

    Args:
        vocabulary: number of token ids.
        length: the most tokens of a row.
        width: numbers per position; a feed-forward layer has 8/3 as many, rounded down to a multiple of 16.

    Raises:
        ValueError: the width is no multiple of twice the number of heads: positions rotate pairs of numbers.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    if width % (2 * heads):
        raise ValueError(f"width {width} is no multiple of {2 * heads}, twice the heads")
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=max(width * 8 // 3 // 16, 1) * 16,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=length,
        tie_word_embeddings=True,
        attn_implementation="eager",
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    return NextToken(LlamaForCausalLM(config))
