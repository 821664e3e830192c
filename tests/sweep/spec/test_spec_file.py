"""Scalars of YAML: what a spec and `--set` read, and that what is written reads back the same by any reader."""

from __future__ import annotations

import datetime
import math
import resource
import struct
from fractions import Fraction

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sweep.errors import InputError
from sweep.spec.spec_file import read_document, read_yaml, write_new, write_yaml
from sweep.spec.sweep_spec import load_spec

SIGN = st.sampled_from(["", "+", "-"])
DIGITS = st.text("0123456789", min_size=1, max_size=12)


def read(text):
    return read_yaml(text, "text")


def same(found, expected):
    """Equal, in type and bit for bit."""
    if isinstance(expected, float):
        return type(found) is float and struct.pack("d", found) == struct.pack("d", expected)
    return type(found) is type(expected) and found == expected


def spellings(text):
    """The value of a plain scalar wherever a spec may have one."""
    return [read(text), read(f"a: {text}")["a"], read(f"- {text}")[0], read(f"{{a: {text}}}")["a"]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("064", 64),
        ("-007", -7),
        ("+12", 12),
        ("0o10", 8),
        ("0x1F", 31),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("-.5e+1", -5.0),
        ("010.5", 10.5),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("~", None),
        ("", None),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        *((text, text) for text in ("yes", "No", "on", "OFF", "y", "n", "nUll", "tRue")),
        *((text, text) for text in ("1_000", "1:30", "190:20:30.15", "1_0.5", "0b11", "0O10", "-0o10", "+0x1", "0o8")),
        *((text, text) for text in ("2020-01-01", "2020-01-01 10:00:00Z", "=", ".", "e3", "1e", "1e+", "nan", "inf")),
        *((text, text) for text in ("+.nan", "1.2.3", "١", "0x", "0o")),
    ],
)
def test_a_plain_scalar_is_what_the_core_schema_says(text, value):
    assert all(same(found, value) for found in spellings(text))


@given(SIGN, st.sampled_from(["", "0", "00"]), st.text("01234567", min_size=1, max_size=4) | DIGITS)
def test_an_integer_is_decimal_however_many_zeros_it_begins_with(sign, zeros, digits):
    value = sum(int(digit) * 10**place for place, digit in enumerate(reversed(digits)))
    assert all(same(found, -value if sign == "-" else value) for found in spellings(sign + zeros + digits))


@given(st.sampled_from([("0o", "01234567", 8), ("0x", "0123456789abcdef", 16)]), st.data(), st.booleans())
def test_octal_and_hexadecimal_numbers_are_marked(base, data, upper):
    prefix, alphabet, radix = base
    digits = data.draw(st.text(alphabet, min_size=1, max_size=12))
    value = sum(alphabet.index(digit) * radix**place for place, digit in enumerate(reversed(digits)))
    assert all(same(found, value) for found in spellings(prefix + (digits.upper() if upper else digits)))


@given(SIGN, st.text("0123456789", max_size=9), DIGITS | st.none() | st.just(""), st.none() | st.tuples(SIGN, DIGITS))
@example("", "5", None, ("-", "4"))
@example("-", "", "5", None)
@example("+", "5", "", ("", "0"))
def test_a_float_is_spelled_in_any_way(sign, whole, fraction, exponent):
    """`fraction`: None without a point. `exponent`: its sign and digits."""
    if not whole and not fraction:
        return
    if fraction is None and exponent is None:
        return  # an integer
    power = 0 if exponent is None else int(exponent[1][-2:]) * (-1 if exponent[0] == "-" else 1)
    text = sign + whole + ("" if fraction is None else f".{fraction}")
    text += "" if exponent is None else f"e{exponent[0]}{exponent[1][-2:]}"
    exact = Fraction(int((whole + (fraction or "")) or "0")) * Fraction(10) ** (power - len(fraction or ""))
    value = -float(exact) if sign == "-" else float(exact)
    assert all(same(found, value) for found in [*spellings(text), *spellings(text.replace("e", "E"))])


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number(text):
    assert all(type(found) is float and math.isnan(found) for found in spellings(text))


BREAKS = "\x85\u2028\u2029"
"""Line breaks of YAML 1.1 only: PyYAML loses them. No name or path of a file has them."""
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=BREAKS), max_size=8)
NUMBERLIKE = st.text("0123456789.eE+-_:oxb~", max_size=8)
AMBIGUOUS = st.sampled_from(
    ["yes", "off", "y", "null", "~", "010", "0o10", "1e3", "1_0", "1:30", "2020-01-01", "<<", "="]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | PLAIN | NUMBERLIKE | AMBIGUOUS


@given(st.dictionaries(PLAIN | NUMBERLIKE | AMBIGUOUS, SCALARS | st.lists(SCALARS, max_size=3), max_size=3))
@example({"a": "1e3", "b": "0o10", "c": "010", "yes": "no", "d": 1e-05, "e": 1e22, "0o7": "<<"})
def test_what_is_written_reads_back_the_same_by_any_reader(document):
    text = write_yaml(document)
    assert repr(read(text)) == repr(yaml.safe_load(text)) == repr(document)


def test_what_is_there_twice_is_written_twice():
    shared = [1, 2]
    assert write_yaml({"a": shared, "b": shared}) == "a:\n- 1\n- 2\nb:\n- 1\n- 2\n"


def test_a_mapping_may_begin_with_another():
    assert read("base: &base {a: 1}\nmore: {<<: *base, b: 2}")["more"] == {"a": 1, "b": 2}


def test_a_tag_makes_nothing_else_a_number():
    assert [read("!!int 010"), read("!!int '0o10'"), read("!!float 1"), read("!!str 1")] == [10, 8, 1.0, "1"]
    assert read("!!timestamp 2020-01-01") == datetime.date(2020, 1, 1)
    for text in ("!!int 1_000", "!!int x", "!!float 1:30", "!!bool yes", "!!null x"):
        with pytest.raises(InputError, match=f"^text: line 1, column 1: not YAML: '{text.split()[1]}' is no "):
            read(text)


def test_a_spec_and_what_overrides_it_have_the_same_numbers(tmp_path):
    path = tmp_path / "zeros.yaml"
    path.write_text("model: {width: 010}\nseeds: [007, 010]\nmethods: [{name: retrain}]\n")
    assert read_document(str(path), [])[1]["model"] == {"width": 10}
    spec = load_spec(str(path), ["training.batch_size=064", "training.lr=1e-3", "model.width=0o10"])
    assert (spec.seeds, spec.training.batch_size, spec.training.lr) == ([7, 10], 64, 0.001)
    assert spec.model.model_extra == {"width": 8}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dataset.flip=yes", "dataset.flip: should be true or false, not 'yes'"),
        ("training.nesterov=off", "training.nesterov: should be true or false, not 'off'"),
        ("predictions=1", "predictions: 1 is unknown; valid: true, false, forget, all"),
        ("training.batch_size=1_000", "training.batch_size: should be a valid integer, not '1_000'"),
        ("trial_timeout=1:30", "trial_timeout: should be a valid number, not '1:30'"),
    ],
)
def test_what_only_older_yaml_reads_as_something_else_is_one_line(override, message):
    with pytest.raises(InputError) as caught:
        load_spec("digits", [override])
    assert str(caught.value) == f"digits: {message}"


def test_yaml_that_is_nested_too_deeply_is_one_line():
    with pytest.raises(InputError, match=r"^text: not YAML: "):
        read_yaml("a: " + "[" * 3000, "text")


def test_a_name_too_long_for_a_file_is_one_line():
    with pytest.raises(InputError, match="no such file or preset"):
        read_document("n" * 300, [])


def test_a_file_that_does_not_fit_is_not_left_in_part(tmp_path):
    """A limit of the system's on files' sizes stands for a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_new(tmp_path / "spec.yaml", "name: tiny\n" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    write_new(tmp_path / "spec.yaml", "name: tiny\n")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "spec.yaml", "name: other\n")
    assert (tmp_path / "spec.yaml").read_text() == "name: tiny\n"
