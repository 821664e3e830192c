"""Forget terms of language models against loops over samples, positions and tokens, in numbers of Python."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from methods import Method, Task, Unsuitable
from methods.blocks import blocks_up_to, hidden_states, state_distance
from methods.npo import NPO
from methods.problems import FORGET, RETAIN, Causal, TokenProblem
from methods.rmu import RMU, only
from methods.simnpo import SimNPO
from methods.task_vector import TaskVector
from methods.two_terms import TwoTerms
from methods.uam import UAM
from methods.undial import UNDIAL

TERMS = [NPO(), SimNPO(), RMU(), UNDIAL(alpha=1.0)]
ALL = [*TERMS, TaskVector(), UAM(signal="hidden", layer=1, lr=1e-3)]


@pytest.fixture
def task() -> Task:
    return TokenProblem().task(NPO())


def moved(model: nn.Module) -> nn.Module:
    """A copy with other weights."""
    other, random = copy.deepcopy(model), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in other.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=random)
    return other


def set_weights(model: nn.Module, other: nn.Module) -> None:
    """Those of another network, in place."""
    with torch.no_grad():
        for weight, value in zip(model.parameters(), other.parameters(), strict=True):
            weight.copy_(value)


def batch(task: Task, count: int = 7) -> tuple[Tensor, Tensor]:
    """Forget samples; the last of them asks for nothing."""
    inputs, targets = next(task.forget.in_order(count))
    targets[-1] = -100
    return inputs, targets


def answers(model: nn.Module, inputs: Tensor, targets: Tensor) -> list[list[tuple[list[float], int]]]:
    """For each sample its answer's tokens: the logits that predict each, and the token."""
    logits = model(inputs).tolist()
    return [
        [(row[t], token) for t, token in enumerate(wanted) if token != -100]
        for row, wanted in zip(logits, targets.tolist(), strict=True)
    ]


def log_softmax(logits: list[float]) -> list[float]:
    total = math.log(math.fsum(math.exp(logit) for logit in logits))
    return [logit - total for logit in logits]


def log_probability(answer: list[tuple[list[float], int]]) -> float:
    """Of a whole answer."""
    return math.fsum(log_softmax(logits)[token] for logits, token in answer)


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def term_at(method: TwoTerms, task: Task, model: nn.Module, chosen: tuple[Tensor, Tensor]) -> float:
    """The forget term that was made at the task's model, with other weights."""
    term = method.forget_term(task)
    set_weights(task.model, model)
    return term(chosen).item()


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_npo_is_the_log_of_one_plus_a_power_of_the_ratio_of_probabilities(task: Task, beta: float) -> None:
    original, model, chosen = copy.deepcopy(task.model), moved(task.model), batch(task)
    pairs = zip(answers(model, *chosen), answers(original, *chosen), strict=True)
    ratios = [math.exp(log_probability(now) - log_probability(before)) for now, before in pairs]
    expected = mean([2 / beta * math.log(1 + ratio**beta) for ratio in ratios])
    assert term_at(NPO(beta=beta), task, model, chosen) == pytest.approx(expected, rel=1e-12)


def test_npo_begins_as_gradient_ascent_on_the_probability_of_answers(task: Task) -> None:
    chosen, weights = batch(task), list(task.model.parameters())
    ours = torch.autograd.grad(NPO(beta=0.3).forget_term(task)(chosen), weights)
    inputs, targets = chosen
    right = task.model(inputs).log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    log_probabilities = (right * (targets != -100)).sum(1)
    for gradient, ascent in zip(ours, torch.autograd.grad(log_probabilities.mean(), weights), strict=True):
        torch.testing.assert_close(gradient, ascent, rtol=1e-10, atol=1e-14)


def test_simnpo_takes_the_mean_loss_of_an_answers_tokens_and_no_reference(task: Task) -> None:
    model, chosen = moved(task.model), batch(task)
    losses = [-log_probability(answer) / max(1, len(answer)) for answer in answers(model, *chosen)]
    expected = mean([-(2 / 4.5) * math.log(1 / (1 + math.exp(-4.5 * (loss - 0.7)))) for loss in losses])
    found = term_at(SimNPO(delta=0.7, weight=0.25), task, model, chosen)
    assert found == pytest.approx(0.25 * expected, rel=1e-12)


def test_undial_is_the_cross_entropy_to_the_originals_softmax_with_right_tokens_lowered(task: Task) -> None:
    original, model, chosen = copy.deepcopy(task.model), moved(task.model), batch(task)
    losses = []
    for now, before in zip(answers(model, *chosen), answers(original, *chosen), strict=True):
        tokens = []
        for (logits, _), (old, token) in zip(now, before, strict=True):
            lowered = [logit - 3.0 * (place == token) for place, logit in enumerate(old)]
            goal = [math.exp(value) for value in log_softmax(lowered)]
            tokens.append(-math.fsum(q * log for q, log in zip(goal, log_softmax(logits), strict=True)))
        losses.append(mean(tokens) if tokens else 0.0)
    assert term_at(UNDIAL(beta=3.0), task, model, chosen) == pytest.approx(mean(losses), rel=1e-12)


def states_by_hand(model: nn.Module, inputs: Tensor, layer: int) -> list[list[list[float]]]:
    assert isinstance(model, Causal)
    hidden = model.embedding(inputs)
    for block in list(model.blocks)[: layer + 1]:
        hidden = block(hidden)
    return hidden.tolist()


def distance_by_hand(states: list, goals: list, targets: Tensor) -> float:
    """`goals`: for each sample and position a vector."""
    samples = []
    for row, goal, wanted in zip(states, goals, targets.tolist(), strict=True):
        positions = [
            mean([(a - b) ** 2 for a, b in zip(row[t], goal[t], strict=True)])
            for t, token in enumerate(wanted)
            if token != -100
        ]
        samples.append(mean(positions) if positions else 0.0)
    return mean(samples)


@pytest.mark.parametrize("layer", [0, 2])
def test_rmu_steers_states_to_one_random_direction_and_keeps_the_others(task: Task, layer: int) -> None:
    original, model, chosen = copy.deepcopy(task.model), moved(task.model), batch(task)
    drawn = torch.rand(8, generator=task.generator("rmu direction"))
    direction = (5.0 * drawn / math.sqrt(sum(value**2 for value in drawn.tolist()))).tolist()
    assert math.dist(direction, [0] * 8) == pytest.approx(5.0)
    states, before = (states_by_hand(each, chosen[0], layer) for each in (model, original))
    steered = distance_by_hand(states, [[direction] * 6] * 7, chosen[1])
    kept = distance_by_hand(states, before, chosen[1])
    method = RMU(layer=layer, c=5.0)
    retain_term = method.retain_term(task)
    assert term_at(method, task, model, chosen) == pytest.approx(steered, rel=1e-12)
    assert retain_term(chosen).item() == pytest.approx(kept, rel=1e-12)


@pytest.mark.parametrize("method", TERMS, ids=lambda method: method.name)
def test_a_step_follows_the_forget_term_and_alpha_times_the_retain_term(task: Task, method: TwoTerms) -> None:
    method = replace(method, alpha=0.7)
    forget, retain = (next(part.in_order(5)) for part in (task.forget, task.retain))
    (part,) = method.passes(task)
    forgetting, keeping = method.forget_term(task), method.retain_term(task)
    set_weights(task.model, moved(task.model))
    task.model.zero_grad()
    values = part.gradients(task, retain, forget, 0.0)
    assert values["retain_loss"].item() == pytest.approx(keeping(retain).item(), rel=1e-12)
    total = forgetting(forget) + 0.7 * keeping(retain)
    gradients = torch.autograd.grad(total, list(task.model.parameters()), allow_unused=True)
    for weight, gradient in zip(task.model.parameters(), gradients, strict=True):
        if gradient is None:
            assert weight.grad is None
        else:
            torch.testing.assert_close(weight.grad, gradient, rtol=1e-10, atol=1e-14)


def test_the_retain_term_is_the_retain_loss_where_a_method_gives_no_other(task: Task) -> None:
    inputs, targets = batch(task)
    losses = [-log_probability(answer) / max(1, len(answer)) for answer in answers(task.model, inputs, targets)]
    assert NPO().retain_term(task)((inputs, targets)).item() == pytest.approx(mean(losses), rel=1e-12)


def unreadable(raw: Tensor, draws: Tensor | None) -> Tensor:
    raise AssertionError("these samples must not be read")


@pytest.mark.parametrize("method", [UNDIAL(), NPO(alpha=0.0), RMU(alpha=0.0), TaskVector()], ids=repr)
def test_without_a_retain_term_an_epoch_is_a_pass_over_the_forget_set_alone(task: Task, method: Method) -> None:
    task = replace(task, retain=replace(task.retain, prepare=unreadable))
    replace(method, epochs=3, batch_size=4).unlearn(task)
    assert task.recorder.samples_processed == 3 * FORGET
    if not isinstance(method, TaskVector):
        assert [row["step"] for row in task.recorder.rows] == [4, 8, 12]


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_with_one_an_epoch_is_a_pass_over_the_retain_set(method: Method) -> None:
    task = TokenProblem().task(method)
    replace(method, epochs=2, batch_size=8).unlearn(task)
    passes = 2 * FORGET if isinstance(method, TaskVector) else 2 * 2 * RETAIN
    assert task.recorder.samples_processed == passes


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_frozen_weights_stay_and_the_others_learn(method: Method) -> None:
    task = TokenProblem().task(method)
    task.model.blocks[0].requires_grad_(False)
    task.model.embedding.requires_grad_(False)
    before = copy.deepcopy(task.model.state_dict())
    replace(method, epochs=1, batch_size=8).unlearn(task)
    for name, weight in task.model.state_dict().items():
        above = name.startswith(("head", "blocks.2")) and isinstance(method, UAM)
        head = name.startswith("head") and isinstance(method, RMU)
        frozen = name.startswith(("embedding", "blocks.0"))
        assert torch.equal(weight, before[name]) == (frozen or above or head), name


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_the_same_seed_gives_the_same_weights_and_a_rate_of_0_none(method: Method) -> None:
    first, second, still = (TokenProblem().task(method) for _ in range(3))
    method = replace(method, epochs=1, batch_size=8)
    for noise, task in enumerate((first, second)):
        torch.manual_seed(noise)
        method.unlearn(task)
    assert all(map(torch.equal, first.model.state_dict().values(), second.model.state_dict().values()))
    before = copy.deepcopy(still.model.state_dict())
    replace(method, lr=0.0).unlearn(still)
    torch.testing.assert_close(still.model.state_dict(), before, rtol=0, atol=1e-14)


class TestBlocks:
    def test_rmu_trains_so_many_blocks_up_to_its_own_and_thaws_the_others(self, task: Task) -> None:
        task.model.blocks[1].own.bias.requires_grad_(False)
        before = copy.deepcopy(task.model.state_dict())
        RMU(layer=1, blocks=1, epochs=1).unlearn(task)
        changed = {name for name, weight in task.model.state_dict().items() if not torch.equal(weight, before[name])}
        assert changed == {"blocks.1.own.weight", "blocks.1.before.weight", "blocks.1.before.bias"}
        learning = {name for name, weight in task.model.named_parameters() if weight.requires_grad}
        assert learning == set(before) - {"blocks.1.own.bias"}

    def test_rmu_may_train_all_that_its_block_depends_on(self, task: Task) -> None:
        before = copy.deepcopy(task.model.state_dict())
        RMU(layer=1, blocks=None, epochs=1).unlearn(task)
        changed = {name for name, weight in task.model.state_dict().items() if not torch.equal(weight, before[name])}
        assert changed == {name for name in before if name.startswith(("embedding", "blocks.0", "blocks.1"))}

    def test_blocks_of_which_nothing_learns_are_refused(self, task: Task) -> None:
        task.model.blocks.requires_grad_(False)
        with pytest.raises(Unsuitable, match="no parameter"):
            RMU(layer=1).unlearn(task)
        with pytest.raises(ValueError, match="stop"), only([task.model.head], task.model):
            raise ValueError("stop")
        assert all(weight.requires_grad for weight in task.model.embedding.parameters())

    @pytest.mark.parametrize("layer", [0, 1, 2])
    def test_states_are_a_blocks_outputs_and_what_lies_behind_is_not_computed(self, task: Task, layer: int) -> None:
        inputs, _ = batch(task)
        expected = states_by_hand(task.model, inputs, layer)
        later = [*task.model.blocks[layer + 1 :], task.model.head]
        for module in later:
            module.register_forward_hook(lambda *_: pytest.fail("it was computed"))
        assert hidden_states(task, task.model, inputs, layer).tolist() == expected
        assert not task.model.blocks[layer]._forward_hooks

    def test_a_block_may_give_a_tuple_or_numbers_of_16_bits(self, task: Task) -> None:
        class Pair(nn.Module):
            def forward(self, hidden: Tensor) -> tuple[Tensor, None]:
                return hidden.bfloat16(), None

        task.model.blocks[1] = Pair()
        inputs, _ = batch(task)
        found = hidden_states(task, task.model, inputs, 1)
        assert found.dtype == torch.float32
        assert found.tolist() == hidden_states(task, task.model, inputs, 0).bfloat16().tolist()

    def test_the_blocks_are_the_longest_list_that_is_in_no_other(self) -> None:
        experts = [nn.ModuleList(nn.Linear(2, 2) for _ in range(9)) for _ in range(3)]
        blocks = nn.ModuleList(nn.Sequential(each) for each in experts)
        model = nn.Sequential(nn.ModuleList([nn.Linear(2, 2)]), nn.Sequential(blocks))
        assert blocks_up_to(model, 1) == list(blocks)[:2]

    @pytest.mark.parametrize(
        ("model", "layer", "message"),
        [
            (nn.Sequential(nn.Linear(2, 2)), 0, "layer: the network has no blocks"),
            (Causal(4, 3), 3, "layer: 3: the network has the blocks 0 to 2"),
            (nn.Sequential(nn.ModuleList([nn.Identity()]), nn.Identity()), 0, None),
        ],
    )
    def test_a_network_without_the_block_is_refused(
        self, task: Task, model: nn.Module, layer: int, message: str | None
    ) -> None:
        if message is None:
            model, message = nn.Embedding(9, 4), "layer: 0: the network does not call this block"
            model.unused = nn.ModuleList([nn.Identity()])
        with pytest.raises(Unsuitable, match=message):
            hidden_states(task, model, batch(task)[0], layer)

    def test_states_of_anything_but_tokens_are_refused(self) -> None:
        with pytest.raises(Unsuitable, match="needs a language model"):
            state_distance(torch.zeros(4, 3), torch.zeros(3), torch.zeros(4, dtype=torch.long))


class TestTaskVector:
    @pytest.mark.parametrize("alpha", [0.0, 0.5, 3.0])
    def test_it_goes_as_far_the_other_way(self, alpha: float) -> None:
        task, other = (TokenProblem().task(TaskVector()) for _ in range(2))
        start, problem = copy.deepcopy(other.model), TokenProblem()
        optimizer = problem.optimizer(list(other.model.parameters()), lr=0.01, momentum=0.9, weight_decay=0.1)
        random = other.generator("forget")
        for _ in range(2):
            for inputs, targets in other.forget.epoch(8, random):
                optimizer.zero_grad()
                problem.criterion(other.model(inputs), targets).backward()
                optimizer.step()
        method = TaskVector(epochs=2, lr=0.01, batch_size=8, weight_decay=0.1, alpha=alpha)
        for ours, w, fitted in zip(
            method.unlearn(task).parameters(), start.parameters(), other.model.parameters(), strict=True
        ):
            torch.testing.assert_close(ours, (1 + alpha) * w - alpha * fitted, rtol=0, atol=1e-12)
        assert task.recorder.rows == []

    def test_it_raises_the_forget_loss(self, task: Task) -> None:
        inputs, targets = next(task.forget.in_order(FORGET))
        before = task.loss(task.model, (inputs, targets)).item()
        assert task.loss(TaskVector(epochs=3).unlearn(task), (inputs, targets)).item() > before


class TestHiddenSignal:
    def test_a_step_is_uams_on_the_movement_of_states(self, task: Task) -> None:
        """eq. (15) by hand from gradients of the two distances; the noise is drawn anew in each step."""
        method = UAM(signal="hidden", layer=1, noise=0.2, rho=0.5, gamma=1.4, rho_schedule="constant")
        original, (part,) = copy.deepcopy(task.model), method.passes(task)
        forget, retain = (next(each.in_order(5)) for each in (task.forget, task.retain))
        random, losses = task.generator("uam noise"), []
        for _ in range(2):
            noise = 0.2 * torch.randn(5, 6, 8, generator=random)
            with torch.no_grad():
                before_f, before_r = (self.states(original, inputs) for inputs, _ in (forget, retain))

            def distance(model: nn.Module, chosen: tuple[Tensor, Tensor], goal: Tensor) -> Tensor:
                inputs, targets = chosen
                squares = (self.states(model, inputs) - goal).square().mean(-1)
                answer = (targets != -100).to(squares)
                return ((squares * answer).sum(1) / answer.sum(1)).mean()

            def gradient(model: nn.Module, loss: Tensor) -> Tensor:
                parts = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True)
                return torch.cat([part.flatten() for part in parts])

            forget_loss = distance(task.model, forget, before_f - noise)
            g = gradient(task.model, forget_loss)
            unit = g / g.norm()
            climbed = copy.deepcopy(task.model)
            nn.utils.vector_to_parameters(
                nn.utils.parameters_to_vector(climbed.parameters()) + 0.5 * unit, climbed.parameters()
            )
            v = gradient(climbed, distance(climbed, retain, before_r))
            expected = v - 1.4 * (v @ unit) * unit
            task.model.zero_grad()
            values = part.gradients(task, retain, forget, 0.0)
            reached = [weight.grad is not None for weight in task.model.parameters()]
            assert reached == [True] * (1 + 4 + 4) + [False] * (4 + 2)  # embedding and two blocks of three
            found = torch.cat([weight.grad.flatten() for weight in task.model.parameters() if weight.grad is not None])
            assert not expected[len(found) :].any()
            torch.testing.assert_close(found, expected[: len(found)], rtol=1e-9, atol=1e-12)
            assert values["forget_loss"].item() == pytest.approx(forget_loss.item(), rel=1e-12)
            losses.append(forget_loss.item())
            set_weights(task.model, moved(task.model))
        assert losses[0] == pytest.approx(0.04, rel=0.5)  # at the original it is the noise
        assert losses[1] > 2 * losses[0]

    @staticmethod
    def states(model: nn.Module, inputs: Tensor) -> Tensor:
        assert isinstance(model, Causal)
        return model.blocks[1](model.blocks[0](model.embedding(inputs)))

    @pytest.mark.parametrize("ascent", ["radius", "rise", "rosu"])
    def test_it_takes_every_ascent_and_the_exact_hessian(self, ascent: str) -> None:
        method = UAM(signal="hidden", hessian="exact", ascent=ascent, epochs=1, batch_size=8, lr=1e-3)
        task = TokenProblem().task(method)
        method.unlearn(task)
        assert task.recorder.samples_processed == RETAIN * (1 + 3 * (2 if ascent == "rosu" else 1))
        assert task.recorder.rows[0]["hessian_ratio"] > 0

    def test_other_data_than_language_is_refused_in_one_line(self, network: Callable, make_task: Callable) -> None:
        with pytest.raises(Unsuitable, match="layer: the network has no blocks"):
            UAM(signal="hidden").unlearn(make_task(network()))
