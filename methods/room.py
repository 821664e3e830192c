"""Originals that hold more than one network, and how large they may be."""

from __future__ import annotations

from torch import nn

from methods.task import Unsuitable

LARGEST = 2 * 2**30
"""Bytes. An original is kept in memory beside what unlearns it, stored as one file, and read by every trial."""


def require_room(network: nn.Module, copies: int, what: str) -> None:
    """Refuse an original of so many copies of a network's state. `what` says what they are.

    Raises:
        Unsuitable: it would be larger than `LARGEST`.
    """
    size = copies * sum(value.numel() * value.element_size() for value in network.state_dict().values())
    if size > LARGEST:
        sizes = f"{size / 2**30:.3g} GiB, and {LARGEST / 2**30:.3g} are allowed"
        raise Unsuitable(f"the original would hold {what}: {sizes}")
