import numpy as np
import pandas as pd
import pytest
from made_results import row
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from analysis.drawing.figure import STYLES, Drawn, Form, draw_hollow_key, formed, new_figure, only_task, save
from analysis.drawing.marks import finish, shades, titled, wrapped
from analysis.reading.frames import Frames
from sweep.errors import InputError


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


def labelled_figure():
    figure, (axes,) = new_figure(4.8, 2)
    titled(
        axes, "A title that is longer than the column of a paper is wide, in inches", "so is this one, by far and wide"
    )
    finish(figure, "What a reader must know. " * 8)
    return figure


def written(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_a_caption_is_no_wider_than_its_figure_and_a_paper_has_its_own():
    figure = labelled_figure()
    assert figure.get_size_inches()[0] == 4.8
    [caption] = [text for text in figure.findobj(Text) if text.get_text().startswith("What a reader")]
    assert caption.get_window_extent().x1 <= figure.bbox.x1
    form = Form(width=2.5, caption=False)
    with formed(form):
        figure = labelled_figure()
    assert figure.get_size_inches()[0] == 2.5
    assert not [text for text in written(figure) if text.startswith("What")]
    assert form.captions == ["What a reader must know. " * 8]
    titles = [text for text in figure.findobj(Text) if text.get_text().startswith(("A title", "so is"))]
    assert [text.get_text().count("\n") > 0 for text in titles] == [True, True]
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in titles)
    assert labelled_figure().get_size_inches()[0] == 4.8


def test_lines_are_filled_word_by_word_and_a_long_word_stands_alone():
    text = "one two three " + "x" * 60 + " four"
    assert wrapped(text, 60).split() == text.split()
    assert wrapped(text, 60).split("\n") == ["one two", "three", "x" * 60, "four"]
    assert wrapped("a b", 1000) == "a b"


def test_hollow_and_filled_are_explained_above_a_figure_that_has_both():
    for methods, words in ((["uam"], []), (["uam", "uam (tuned)"], ["untuned", "tuned"])):
        figure, _ = new_figure()
        draw_hollow_key(figure, methods)
        assert [text.get_text() for legend in figure.legends for text in legend.get_texts()] == words


def test_one_of_several_tasks_is_chosen_by_words_of_its_heading():
    trials = pd.DataFrame([row("uam", task="a"), row("uam", task="b", forget_ratio=0.05)])
    frames = Frames(trials, pd.DataFrame(), [])
    assert only_task(frames, "5 %").trials["task_id"].tolist() == ["b"]
    for words, message in (("%", "several tasks have '%'"), ("20 %", "no task has '20 %'")):
        with pytest.raises(
            InputError, match=rf"--task: {message}; there are: digits, small-cnn, forget 10 % at random; "
        ):
            only_task(frames, words)
