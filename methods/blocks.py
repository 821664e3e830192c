"""What a network says between its blocks: the hidden states of a transformer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from methods.descent import trainable
from methods.task import Task, Unsuitable
from methods.tokens import answer_means, require_tokens


def blocks_up_to(model: nn.Module, layer: int) -> list[nn.Module]:
    """The network's blocks 0 to `layer`: the members of its longest `nn.ModuleList` that is in no other.

    Raises:
        Unsuitable: there is no such list, or no such member.
    """
    longest = max(_outermost_lists(model), key=len, default=nn.ModuleList())
    if not len(longest):
        raise Unsuitable("layer: the network has no blocks: it holds no nn.ModuleList")
    if layer >= len(longest):
        raise Unsuitable(f"layer: {layer}: the network has the blocks 0 to {len(longest) - 1}")
    return list(longest)[: layer + 1]


def _outermost_lists(module: nn.Module) -> Iterator[nn.ModuleList]:
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _outermost_lists(child)


class _Reached(Exception):
    """The block that was asked for has spoken; the rest of the pass is not needed."""


def hidden_states(task: Task, model: nn.Module, inputs: Tensor, layer: int) -> Tensor:
    """The outputs [B, L, H] of a block, in at least float32; those behind it are not computed.

    Raises:
        Unsuitable: there is no such block, or the network does without it.
    """
    found: list[Tensor] = []

    def keep(block: nn.Module, arguments: object, output: Tensor | tuple[Tensor, ...]) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)
        raise _Reached

    hook = blocks_up_to(model, layer)[-1].register_forward_hook(keep)
    try:
        with task.autocast():
            model(inputs)
    except _Reached:
        return found[0].float() if found[0].dtype == torch.bfloat16 else found[0]
    finally:
        hook.remove()
    raise Unsuitable(f"layer: {layer}: the network does not call this block")


def weights_of_states(task: Task, layer: int) -> list[nn.Parameter]:
    """The trainable parameters that a block's outputs depend on. Leaves the model in training mode."""
    inputs, _ = next(task.retain.in_order(1))
    states, weights = hidden_states(task, task.model.eval(), inputs, layer), trainable(task.model)
    gradients = torch.autograd.grad(states.sum(), weights, allow_unused=True)
    task.model.train()
    return [weight for weight, gradient in zip(weights, gradients, strict=True) if gradient is not None]


def state_distance(states: Tensor, goal: Tensor, targets: Tensor) -> Tensor:
    """How far hidden states [B, L, H] are from `goal`, which may have fewer dimensions: a scalar.

    The squared difference, averaged over H, then over the positions that predict each sample's answer, then over
    samples: positions count as they do in the loss.
    """
    require_tokens(states, targets)
    return answer_means((states - goal).square().mean(dim=-1), targets).mean()
