import pandas as pd
import pytest

from analysis.wording.certificates import certificate_lines, certificate_words


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        (None, ""),
        (float("nan"), ""),
        ('{"stopped": 3}', ""),
        (
            '{"delta": 1e-5, "epsilon": 0.5, "certificate": "As if\\nretrained."}',
            "epsilon = 0.5, delta = 1e-05. As if retrained.",
        ),
        ('{"epsilon": "none"}', "epsilon = none."),
    ],
)
def test_a_claim_is_epsilon_delta_and_its_assumptions(notes, words):
    assert certificate_words(notes) == words


def test_each_certificate_stands_once_with_whom_it_belongs_to():
    words = ["A.", "", "B.", "A.", "B.", "B.", "B.", "A."]
    table = pd.DataFrame({"certificate": words, "method": list("abcdefga")})
    assert certificate_lines(table) == [("a and d", "A."), ("c, e, f and 1 more", "B.")]
    assert certificate_lines(pd.DataFrame()) == []
