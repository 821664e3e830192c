import numpy as np
from matplotlib.colors import to_rgb

from analysis.drawing.figure import STYLES, Drawn, new_figure, save
from analysis.drawing.marks import shades


def test_styles_differ_in_marker_and_in_lightness_or_line():
    assert len({style.marker for style in STYLES.values()}) == len(STYLES)
    looks = {
        (round(float(np.dot(to_rgb(style.color), (0.299, 0.587, 0.114))), 1), style.line) for style in STYLES.values()
    }
    assert len(looks) == len(STYLES)
    lightness = [sum(to_rgb(style.color)) for style in shades(STYLES["uam"], 4)]
    assert lightness == sorted(lightness, reverse=True)


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for place in ("a", "b"):
        save(Drawn("small", "?", new_figure(2, 1)[0], "", ""), tmp_path / place)
    for name in ("small.png", "small.pdf", "small.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
