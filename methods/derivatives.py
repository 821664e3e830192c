"""Networks in operations that can be differentiated as often as a method likes, and in whichever mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


@contextmanager
def all_derivatives() -> Iterator[None]:
    """Compute forward passes in the body by operations that have second and forward derivatives.

    torch has neither for its fused attention, no forward ones for what `nn.MultiheadAttention` takes in evaluation
    mode, and no second ones for `hardsigmoid`. Every method that differentiates twice, by `jvp` or under `vmap` does
    so in here; results are the same to rounding.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), _Replaced():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


class _Replaced(TorchFunctionMode):
    """Puts relu6 in the place of `hardsigmoid`."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is nn.functional.hardsigmoid:
            return nn.functional.relu6(args[0] + 3) / 6
        return function(*args, **(kwargs or {}))
