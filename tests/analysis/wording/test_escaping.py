"""Labels that are markup or formulas stand in files as they were written."""

import io
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from made_results import TWO_SEEDS

from analysis.against import against, to_markdown
from analysis.audit.printed import ScoreTable, TaskTables
from analysis.audit.printed import to_markdown as audit_markdown
from analysis.audit.summary import HEADERS
from analysis.audit.ulira import Area
from analysis.methods_table import write_tables
from analysis.prediction_tables import PredictionTable
from analysis.reading.frames import read_frames
from analysis.wording.escaping import in_csv, in_markdown, markdown_table
from sweep.store.labels import write_labels
from sweep.store.results import Results

HOSTILE = "=<img src=x onerror=alert(1)> ![a](b) |*&"


def harmless(text):
    """Whether a text has no element of HTML, no image of Markdown, and no bar or asterisk but escaped ones."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag)
    parser.feed(text)
    return not found and "![" not in text and "](" not in text.replace("\\](", "") and " |*" not in text


def test_markdown_shows_what_is_written():
    assert in_markdown("UAM (weight_decay=0.1), _a_") == "UAM (weight_decay=0.1), \\_a\\_"
    assert in_markdown("a<b>&|`*\\") == "a&lt;b&gt;&amp;\\|\\`\\*\\\\"
    assert markdown_table(["*a*", "n", "b"], [["*", "81.1 [0.3]", "a|b"]], (0, 2)) == (
        "| \\*a\\* | n | b |\n|:--|--:|:--|\n| \\* | 81.1 [0.3] | a\\|b |"
    )


@pytest.mark.usefixtures("labels_forgotten")
def test_no_file_of_the_table_of_methods_has_markup_of_a_label(directory, tmp_path):
    place = directory(TWO_SEEDS)
    write_labels(Results(str(place)), {"finetune": HOSTILE, "digits": "[<b>", "retrain": "[|<"}, {})
    frames = read_frames(str(place))
    write_tables(frames, tmp_path)
    assert harmless((tmp_path / "methods.md").read_text())
    assert pd.read_csv(tmp_path / "methods.csv")["label"].str.startswith("'=<img").any()
    latex = (tmp_path / "methods.tex").read_text()
    assert "\n{[\\textbar{}\\textless{}} & " in latex
    assert "=\\textless{}img src=x onerror=alert(1)\\textgreater{} ![a](b) \\textbar{}*\\&" in latex
    assert harmless(to_markdown(against(frames, frames)))


def test_nor_has_any_other_table():
    row = {"task": HOSTILE, "method": HOSTILE, "seeds": 1, "a.mean": -0.5, "a.std": np.nan}
    predicted = PredictionTable("made", "made", "made.", ("a",), pd.DataFrame([row]))
    assert harmless(predicted.markdown)
    one = ScoreTable(Area(), ["method", "n", "all"], [[HOSTILE, "1", "–", HOSTILE]], HOSTILE)
    tables = TaskTables(HOSTILE, [[HOSTILE, *["–"] * (len(HEADERS) - 2), HOSTILE]], [one], [HOSTILE], strata=False)
    assert harmless(audit_markdown([tables]))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\ta"])
def test_a_spreadsheet_computes_no_text(text):
    frame = pd.DataFrame({text: [text, "a=1"], "number": [-1.5, np.nan], "mixed": [-2, text], "count": [-1, 0]})
    found = pd.read_csv(io.StringIO(in_csv(frame)), dtype=str, keep_default_na=False)
    quoted = f"'{text}"
    assert found.to_dict("list") == {
        quoted: [quoted, "a=1"],
        "number": ["-1.5", ""],
        "mixed": ["-2", quoted],
        "count": ["-1", "0"],
    }
