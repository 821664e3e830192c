"""What every finding says beside its claim."""

from __future__ import annotations

import pandas as pd

from analysis.statistics.intervals import Interval, limits
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import doing_nothing
from analysis.wording.words import also

HERE = "none of the configurations here"
"""The subject of `doing_nothing` in figures of one method's configurations."""


def finding(
    claim: str,
    trials: pd.DataFrame,
    interval: Interval | None = None,
    quantity: str = "average_gap",
    who: str = "no method",
) -> str:
    """The claim; before it that Original does better, if it does; after it that code versions are mixed, if they are.

    Args:
        claim: one or more sentences.
        trials: those that the claim is about, of one task.
        interval: of the claim's mean. If it is too wide to tell anything (`tells`), this is said instead of the claim.
        quantity: the column that the mean is of. Original is compared in `average_gap` only.
        who: as in `doing_nothing`.
    """
    nothing = doing_nothing(trials, who) if quantity == "average_gap" else ""
    made = claim if interval is None or tells(interval, quantity) else _untold(interval, quantity)
    return f"{nothing} {made}".strip() + also(code_words(trials))


def tells(interval: Interval, quantity: str) -> bool:
    """Whether an interval rules out at least half of the possible values. A mean of one seed has none, and passes."""
    low, high = limits(quantity)
    return not interval.high - interval.low > (high - low) / 2


def _untold(interval: Interval, quantity: str) -> str:
    what = "lowest mean average gap is" if quantity == "average_gap" else "angle nearest to 90 degrees is"
    return f"The seeds do not tell: the {what} {interval}, which holds most of what is possible."
