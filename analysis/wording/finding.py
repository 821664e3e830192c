"""What every finding says besides its claim."""

from __future__ import annotations

import pandas as pd

from analysis.statistics.intervals import Interval, limits
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import doing_nothing
from analysis.wording.words import also

HERE = "none of the configurations here"


def finding(
    claim: str,
    trials: pd.DataFrame,
    interval: Interval | None = None,
    quantity: str = "average_gap",
    who: str = "no method",
) -> str:
    """The claim, after whether Original does better, before whether code versions are mixed.

    Args:
        claim: one or more sentences.
        trials: what it is about, of one task; of other columns than gaps Original says nothing.
        interval: of the claim's mean. Where it tells nothing, the claim is not made.
        quantity: the column that the mean is of.
        who: as in `doing_nothing`.
    """
    nothing = doing_nothing(trials, who) if quantity == "average_gap" else ""
    made = claim if interval is None or tells(interval, quantity) else _untold(interval, quantity)
    return f"{nothing} {made}".strip() + also(code_words(trials))


def tells(interval: Interval, quantity: str) -> bool:
    """Whether an interval leaves out at least half of what is possible; a mean of one seed has none to judge by."""
    low, high = limits(quantity)
    return not interval.high - interval.low > (high - low) / 2


def _untold(interval: Interval, quantity: str) -> str:
    what = "lowest mean average gap is" if quantity == "average_gap" else "angle nearest to 90 degrees is"
    return f"The seeds do not tell: the {what} {interval}, which holds most of what is possible."
