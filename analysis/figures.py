"""Every figure, in reading order."""

from __future__ import annotations

from analysis import (
    best_so_far,
    forget_ratio,
    gamma,
    gradient_angle,
    hessian,
    importance,
    pareto,
    relearned,
    rho,
    rho_gamma,
    roc,
    samples,
    seeds,
    slices,
    strata,
    tradeoff,
    tuned,
)
from analysis.drawing.figure import Draw

FIGURES: dict[str, Draw] = {
    "roc": roc.draw,
    "samples": samples.draw,
    "strata": strata.draw,
    "relearned": relearned.draw,
    "tradeoff": tradeoff.draw,
    "seeds": seeds.draw,
    "rho": rho.draw,
    "gamma": gamma.draw,
    "rho_gamma": rho_gamma.draw,
    "hessian": hessian.draw,
    "gradient_angle": gradient_angle.draw,
    "forget_ratio": forget_ratio.draw,
    "tuned": tuned.draw,
    "best_so_far": best_so_far.draw,
    "importance": importance.draw,
    "slices": slices.draw,
    "pareto": pareto.draw,
}
"""By name, which is also the module's and the files' stem."""
