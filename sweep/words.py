"""Words that depend on a number."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """A number and what it counts: `1 trial`, `2 trials`. `many` is for words of which an s makes no plural."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def them(count: int) -> str:
    """The pronoun of so many."""
    return "it" if count == 1 else "them"
