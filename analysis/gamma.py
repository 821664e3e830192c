"""UAM against gamma: python -m analysis.gamma DIR [--out DIR]."""

from __future__ import annotations

from analysis.ablation import draw_ablation
from analysis.drawing.figure import Drawn, Skipped, run_figure
from analysis.reading.frames import Frames
from analysis.wording.names import GAMMA, RHO

QUESTION = "How large should the constant be that stands for the Hessian (γ)?"


def draw(frames: Frames) -> Drawn | Skipped:
    """Average gap, FA, RA and TA of UAM against gamma, at fixed rho: one line for each rho tried."""
    return draw_ablation(frames, QUESTION, along=GAMMA, lines=RHO)


if __name__ == "__main__":
    run_figure(draw)
