"""Every figure, in reading order."""

from __future__ import annotations

from analysis import forget_ratio, gamma, gradient_angle, hessian, rho, rho_gamma, seeds, tradeoff
from analysis.figure import Draw

FIGURES: dict[str, Draw] = {
    "tradeoff": tradeoff.draw,
    "seeds": seeds.draw,
    "rho": rho.draw,
    "gamma": gamma.draw,
    "rho_gamma": rho_gamma.draw,
    "hessian": hessian.draw,
    "gradient_angle": gradient_angle.draw,
    "forget_ratio": forget_ratio.draw,
}
"""By name, which is also the module's and the files' stem."""
