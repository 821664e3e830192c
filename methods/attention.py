"""Attention that can be differentiated as often, and in whichever mode, as any other layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def plain_attention() -> Iterator[None]:
    """Compute attention by matrix products and softmax in the body's forward passes.

    torch has neither second nor forward derivatives of its fused attention, and none at all of the one that
    `nn.MultiheadAttention` takes in evaluation mode. Every method that differentiates twice, by `jvp` or under `vmap`
    does so in here; other layers are not touched.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
