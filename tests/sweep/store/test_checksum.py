"""A file that is not byte for byte what was written is told, whatever in it was changed."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.store.checksum import MARK, sealed, verify
from sweep.store.columns import TRIALS


def parquet(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


PLAIN = parquet(pa.table({"name": ["one", "two"], "value": [1.5, None]}))
SEALED = sealed(PLAIN)


def test_a_sealed_file_is_verified_and_any_program_reads_it(tmp_path):
    assert verify(SEALED)
    path = tmp_path / "sealed.parquet"
    path.write_bytes(SEALED)
    assert pq.read_table(path).equals(pq.read_table(io.BytesIO(PLAIN)))


def test_a_file_of_another_program_has_no_checksum():
    assert not verify(PLAIN)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_any_byte_changed_is_told(place, change):
    content = bytearray(SEALED)
    content[place] ^= change
    with pytest.raises(pa.ArrowInvalid, match="its checksum is wrong"):
        verify(bytes(content))


@given(st.integers(0, len(SEALED) - 1))
def test_any_truncation_is_told_or_leaves_no_parquet_file(length):
    with pytest.raises(pa.ArrowInvalid):
        verify(SEALED[:length]) or pq.read_table(io.BytesIO(SEALED[:length]))


def test_one_copy_of_the_checksum_destroyed_does_not_pass_for_none():
    first = SEALED.index(MARK)
    for place in (first, SEALED.index(MARK, first + 1)):
        with pytest.raises(pa.ArrowInvalid, match="its checksum is wrong"):
            verify(SEALED[:place] + bytes(len(MARK)) + SEALED[place + len(MARK) :])


def test_a_footer_that_exchanges_two_columns_is_no_row(results, make_row):
    results.write_trial(make_row("t", retain_accuracy=1.0, forget_accuracy=2.0))
    content = results.read("trials/t.parquet")
    changed = content.replace(b"retain_accuracy", b"-" * 15).replace(b"forget_accuracy", b"retain_accuracy")
    changed = changed.replace(b"-" * 15, b"forget_accuracy")
    results.write("trials/t.parquet", changed.replace(MARK, bytes(len(MARK))))  # what its checksum is there for:
    [row] = results.trials().table.to_pylist()
    assert (row["retain_accuracy"], row["forget_accuracy"]) == (2.0, 1.0)
    results.write("trials/t.parquet", changed)
    found = results.trials()
    assert found.table.equals(TRIALS.empty_table())
    assert found.damaged == ["trials/t.parquet: its checksum is wrong"]
