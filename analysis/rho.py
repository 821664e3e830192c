"""UAM against rho: python -m analysis.rho DIR [--out DIR]."""

from __future__ import annotations

from analysis.ablation import draw_ablation
from analysis.drawing.figure import Drawn, Skipped, run_figure
from analysis.reading.frames import Frames
from analysis.wording.names import GAMMA, RHO

QUESTION = "How far should UAM's ascent step reach (ρ)?"


def draw(frames: Frames) -> Drawn | Skipped:
    """Average gap, FA, RA and TA of UAM against rho, at fixed gamma: one line for each gamma tried."""
    return draw_ablation(frames, QUESTION, along=RHO, lines=GAMMA)


if __name__ == "__main__":
    run_figure(draw)
