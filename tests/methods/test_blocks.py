"""The blocks of a network: their outputs, and which of them learn."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from methods import Task, Unsuitable
from methods.blocks import blocks_up_to, hidden_states, state_distance
from methods.problems import Causal, TokenProblem
from methods.rmu import RMU, only


@pytest.fixture
def task() -> Task:
    return TokenProblem().task(RMU())


def test_rmu_trains_so_many_blocks_up_to_its_own_and_thaws_the_others(task: Task) -> None:
    task.model.blocks[1].own.bias.requires_grad_(False)
    before = copy.deepcopy(task.model.state_dict())
    RMU(layer=1, blocks=1, epochs=1).unlearn(task)
    changed = {name for name, weight in task.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {"blocks.1.own.weight", "blocks.1.before.weight", "blocks.1.before.bias"}
    learning = {name for name, weight in task.model.named_parameters() if weight.requires_grad}
    assert learning == set(before) - {"blocks.1.own.bias"}


def test_rmu_may_train_all_that_its_block_depends_on(task: Task) -> None:
    before = copy.deepcopy(task.model.state_dict())
    RMU(layer=1, blocks=None, epochs=1).unlearn(task)
    changed = {name for name, weight in task.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {name for name in before if name.startswith(("embedding", "blocks.0", "blocks.1"))}


def test_blocks_of_which_nothing_learns_are_refused(task: Task) -> None:
    task.model.blocks.requires_grad_(False)
    with pytest.raises(Unsuitable, match="no parameter"):
        RMU(layer=1).unlearn(task)
    with pytest.raises(ValueError, match="stop"), only([task.model.head], task.model):
        raise ValueError("stop")
    assert all(weight.requires_grad for weight in task.model.embedding.parameters())


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_states_are_a_blocks_outputs_and_what_lies_behind_is_not_computed(task: Task, layer: int) -> None:
    inputs, _ = next(task.forget.in_order(7))
    states = task.model.embedding(inputs)
    for block in task.model.blocks[: layer + 1]:
        states = block(states)
    later = [*task.model.blocks[layer + 1 :], task.model.head]
    for module in later:
        module.register_forward_hook(lambda *_: pytest.fail("it was computed"))
    assert torch.equal(hidden_states(task, task.model, inputs, layer), states)
    assert not task.model.blocks[layer]._forward_hooks


def test_a_block_may_give_a_tuple_or_numbers_of_16_bits(task: Task) -> None:
    class Pair(nn.Module):
        def forward(self, hidden: Tensor) -> tuple[Tensor, None]:
            return hidden.bfloat16(), None

    task.model.blocks[1] = Pair()
    inputs, _ = next(task.forget.in_order(7))
    found = hidden_states(task, task.model, inputs, 1)
    assert found.dtype == torch.float32
    assert found.tolist() == hidden_states(task, task.model, inputs, 0).bfloat16().tolist()


def test_the_blocks_are_the_longest_list_that_is_in_no_other() -> None:
    experts = [nn.ModuleList(nn.Linear(2, 2) for _ in range(9)) for _ in range(3)]
    blocks = nn.ModuleList(nn.Sequential(each) for each in experts)
    model = nn.Sequential(nn.ModuleList([nn.Linear(2, 2)]), nn.Sequential(blocks))
    assert blocks_up_to(model, 1) == list(blocks)[:2]


class Idle(nn.Module):
    """Has a block that it does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Identity()])

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens


@pytest.mark.parametrize(
    ("model", "layer", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2)), 0, "layer: the network has no blocks"),
        (Causal(4, 3), 3, "layer: 3: the network has the blocks 0 to 2"),
        (Idle(), 0, "layer: 0: the network does not call this block"),
    ],
)
def test_a_network_without_the_block_is_refused(task: Task, model: nn.Module, layer: int, message: str) -> None:
    with pytest.raises(Unsuitable, match=message):
        hidden_states(task, model, next(task.forget.in_order(7))[0], layer)


def test_states_of_anything_but_tokens_are_refused() -> None:
    with pytest.raises(Unsuitable, match="needs a language model"):
        state_distance(torch.zeros(4, 3), torch.zeros(3), torch.zeros(4, dtype=torch.long))
