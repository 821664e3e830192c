"""What methods that learn from a teacher share: the teacher, and how far a student is from its teacher."""

from __future__ import annotations

import copy

from torch import Tensor, nn


def teacher(model: nn.Module) -> nn.Module:
    """A copy of the model as it is now, in evaluation mode, that learns nothing."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def divergence(student: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Mean over the batch of KL(softmax(target / T) || softmax(student / T)), both logits [B, classes]."""
    log_student, log_target = ((part / temperature).log_softmax(dim=1) for part in (student, target))
    return nn.functional.kl_div(log_student, log_target, reduction="batchmean", log_target=True)
