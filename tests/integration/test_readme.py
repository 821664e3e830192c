"""What README.md says beside its commands."""

import re

from documentation import text_of

from methods import METHODS
from sweep.spec.sweep_spec import load_spec

README = text_of("README.md")


def test_its_table_has_the_methods_of_the_demo_in_the_order_of_their_gaps():
    table = re.search(r"^```\ndigits, small-cnn.*?^```", README, re.M | re.S)[0]
    found = re.findall(r"^ ([a-z]+) +3 .* (\d+\.\d)±\S+ +\d\.\d\d$", table, re.M)
    assert {name for name, _ in found} == {method.name for method in load_spec("digits").methods}
    ranked = [float(gap) for name, gap in found if name not in ("original", "retrain")]
    assert len(ranked) == 8
    assert ranked == sorted(ranked)
    assert "Retrain and eight methods" in README


def test_it_counts_the_methods_that_there_are():
    assert "some forty methods" in README
    assert 35 <= len(METHODS) <= 45


def test_it_explains_every_word_and_column_of_its_table_above_it():
    above = README[: README.index("digits, small-cnn")]
    for word in ("forget set", "retain set", "original", "Retrain", "gap", "cost"):
        assert re.search(rf"^\| {word} \|", above, re.M), word
    for column in ("RA", "FA", "TA", "MIA"):
        assert re.search(rf"\b{column}\b", above), column
