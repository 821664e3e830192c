"""The results directory: files that are there whole or not at all, and what is read back of them."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sweep.cli.arguments import report_folder
from sweep.engine.claims import Claims
from sweep.errors import InputError
from sweep.store.columns import PREDICTIONS, SUGGESTIONS, TRACES, TRIALS
from sweep.store.location import absolute_location
from sweep.store.metrics import Metric, metrics_of
from sweep.store.original_labels import HEAD, Label, original_path, read_label
from sweep.store.originals import Original, load_original, store_original
from sweep.store.parquet import parquet_bytes
from sweep.store.results import Results

TRACE = {"trial_id": "t", "epoch": 1, "step": 9, "seconds": 0.5, "samples": 90, "retain_loss": 0.1}


def logits(trial_id: str = "t") -> pa.Table:
    """Predictions of two samples."""
    columns = [[trial_id] * 2, [5, 9], ["retain", "test"], [1, 0], [[0.5, 2.0], [1.0, -1.0]]]
    names = ["trial_id", "sample_id", "split", "label", "logits"]
    nothing = dict.fromkeys(PREDICTIONS.names, [None] * 2)
    return pa.Table.from_pydict(nothing | dict(zip(names, columns, strict=True)), schema=PREDICTIONS)


def files(results: Results) -> list[str]:
    """Every file of a results directory, hidden ones too."""
    root = Path(results.location)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def rows(results: Results) -> list[dict]:
    return results.trials().table.to_pylist()


def test_a_row_is_read_back_as_it_was_written(results, make_row):
    row = make_row("t")
    results.write_trial(row)
    found = results.trials()
    assert found.table.schema.equals(TRIALS)
    assert found.damaged == []
    assert set(row) == set(TRIALS.names)
    assert found.table.to_pylist() == [row]


def test_times_are_read_where_the_machine_has_no_time_zone_database(results, make_row):
    results.write_trial(make_row("t"))
    code = (
        "import sys; from sweep.store.results import Results; print(Results(sys.argv[1]).trials().table.to_pylist()[0])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, results.location],
        env=os.environ | {"PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
    )
    assert "'finished_at': datetime.datetime(2030, 1, 1, 0, 0, tzinfo=" in shown.stdout, shown.stderr
    assert any(needed.startswith("tzdata") and "extra" not in needed for needed in metadata.requires("unlearn-sweep"))


def test_what_a_row_does_not_say_is_null(results, make_row):
    names = [field.name for field in TRIALS if not field.nullable]
    results.write_trial({name: make_row()[name] for name in names})
    [row] = rows(results)
    known = [*names, "n_traces", "n_predictions"]
    assert all((value is None) == (name not in known) for name, value in row.items())


def test_traces_and_predictions_are_read_back(results, make_row):
    results.write_trial(make_row("t"), [TRACE, TRACE | {"epoch": 2}], logits())
    assert results.traces().table.schema.equals(TRACES)
    assert [(row["epoch"], row["retain_loss"], row["residual"]) for row in results.traces().table.to_pylist()] == [
        (1, 0.1, None),
        (2, 0.1, None),
    ]
    assert results.predictions("t").equals(logits())
    assert results.predictions("other") is None


def test_a_run_without_traces_and_predictions_has_none_of_an_earlier_run(results, make_row):
    results.write_trial(make_row("t"), [TRACE], logits())
    results.write_trial(make_row("u"), [TRACE | {"trial_id": "u"}], logits("u"))
    results.write_trial(make_row("t", status="failed"))
    assert results.traces().table["trial_id"].to_pylist() == ["u"]
    assert (results.trace("t"), results.predictions("t")) == ([], None)
    assert (len(results.trace("u")), len(results.predictions("u"))) == (1, 2)
    results.write_trial(make_row("t"), [TRACE], logits())
    assert (len(results.trace("t")), len(results.predictions("t"))) == (1, 2)


def test_traces_and_predictions_of_a_row_that_does_not_count_them_are_its_own(results, make_row):
    results.write_trial(make_row("t"), [TRACE], logits())
    older = pa.Table.from_pylist([make_row("t")], schema=TRIALS).drop_columns(["n_traces", "n_predictions"])
    results.write("trials/t.parquet", parquet_bytes(older))
    assert rows(results)[0]["n_traces"] is None
    assert (results.traces().table.num_rows, len(results.trace("t")), len(results.predictions("t"))) == (1, 1, 2)


def test_a_run_that_could_not_store_its_row_takes_nothing_from_the_one_before(results, make_row, monkeypatch):
    def full_disk(self: Results, path: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    results.write_trial(make_row("t"), [TRACE], logits())
    monkeypatch.setattr(Results, "write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        results.write_trial(make_row("t", status="failed"))
    assert (len(results.trace("t")), len(results.predictions("t"))) == (1, 2)


def test_every_file_is_named_by_its_trial(results, make_row):
    results.write_trial(make_row("t"), [TRACE], logits())
    results.write_trial(make_row("u"))
    assert files(results) == ["predictions/t.parquet", "traces/t.parquet", "trials/t.parquet", "trials/u.parquet"]


def test_an_empty_directory_has_no_trials_and_reading_makes_none(results):
    found = results.trials()
    assert (found.table.num_rows, found.damaged) == (0, [])
    assert found.table.schema.equals(TRIALS)
    assert results.traces().table.num_rows == 0
    assert not results.exists()
    results.write("spec.yaml", b"name: x")
    assert results.exists()


def test_the_row_is_written_last(results, make_row, monkeypatch):
    written = []
    write = Results.write

    def full_disk(self: Results, path: str, content: bytes) -> None:
        if path.startswith("trials/"):
            raise OSError(28, "No space left on device")
        written.append(path)
        write(self, path, content)

    monkeypatch.setattr(Results, "write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        results.write_trial(make_row("t"), [TRACE], logits())
    assert written == ["traces/t.parquet", "predictions/t.parquet"]
    assert files(results) == sorted(written)
    assert rows(results) == []


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_neither_a_file_nor_a_temporary_one(results, make_row, monkeypatch, broken):
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os if broken == "fsync" else Path, broken, fail)
    with pytest.raises(OSError, match="Input/output error"):
        results.write_trial(make_row("t"))
    assert files(results) == []


def test_a_write_that_fails_leaves_the_former_file(results, make_row, monkeypatch):
    results.write_trial(make_row("t", mia=1.0))
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        results.write_trial(make_row("t", mia=2.0))
    assert [row["mia"] for row in rows(results)] == [1.0]


@pytest.mark.parametrize("torn", [b"", b"{", b"null", b"[" * 100_000, b'[{"column": [], "label": "A", "words": "a"}]'])
def test_a_kind_of_task_that_is_damaged_is_named_and_the_others_are_known(results, torn):
    results.write("kinds/torn:Kind.json", torn)
    results.write_metrics("whole:Kind", [Metric("a", "A", "a", side="forget", ideal=0.5)])
    [said] = results.learn_metrics()
    assert said.startswith("kinds/torn:Kind.json: ")
    assert "\n" not in said
    assert metrics_of("torn:Kind") == ()
    assert metrics_of("whole:Kind") == (Metric("a", "A", "a", side="forget", ideal=0.5),)


def test_writing_again_replaces(results, make_row):
    for mia in (1.0, 2.0):
        results.write_trial(make_row("t", mia=mia))
    assert [row["mia"] for row in rows(results)] == [2.0]
    assert files(results) == ["trials/t.parquet"]


def whole_row(results: Results, make_row) -> bytes:
    results.write_trial(make_row("whole"))
    return results.read("trials/whole.parquet")


def flipped(content: bytes) -> bytes:
    """A bit of the first column's data is wrong; the footer is as it was."""
    place = content.index(b"PAR1", 0) + 40
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"garbage" * 100,
        lambda content: b"PAR1" + b"\0" * 100 + b"PAR1",
        flipped,
    ],
    ids=["half", "but a byte", "empty", "garbage", "magic only", "flipped"],
)
def test_a_damaged_file_counts_as_absent_and_is_named(results, make_row, damage):
    content = whole_row(results, make_row)
    results.write("trials/bad.parquet", damage(content))
    found = results.trials()
    assert found.table["trial_id"].to_pylist() == ["whole"]
    [problem] = found.damaged
    assert problem.startswith("trials/bad.parquet: ")
    assert len(problem) > len("trials/bad.parquet: ")
    assert "\n" not in problem


def other_table(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def test_a_file_of_another_schema_counts_as_absent(results, make_row):
    results.write_trial(make_row("t"), [TRACE])
    root = Path(results.location)
    other_table(pa.table({"x": [1]}), root / "trials/a.parquet")
    other_table(results.traces().table, root / "trials/b.parquet")
    wrong_type = pa.Table.from_pylist([make_row("c", seed="zero", started_at=None, finished_at=None)])
    other_table(wrong_type, root / "trials/c.parquet")
    nameless = pa.Table.from_pylist([make_row()]).drop_columns("trial_id")
    other_table(nameless.append_column("trial_id", pa.nulls(1, pa.string())), root / "trials/d.parquet")
    found = results.trials()
    assert found.table["trial_id"].to_pylist() == ["t"]
    assert [problem.partition(":")[0] for problem in found.damaged] == [f"trials/{name}.parquet" for name in "abcd"]
    assert "'trial_id'" in found.damaged[0]


def test_columns_that_an_older_file_lacks_are_null_and_its_own_are_left_out(results, make_row):
    older = pa.Table.from_pylist([make_row("old")], schema=TRIALS).drop_columns(["threads", "mia"])
    older = older.select(older.column_names[::-1]).append_column("colour", pa.array(["red"]))
    other_table(older, Path(results.location) / "trials/old.parquet")
    [row] = rows(results)
    assert row == make_row("old", threads=None, mia=None)


def test_a_file_may_hold_several_rows(results, make_row):
    table = pa.Table.from_pylist([make_row(name) for name in "abc"], schema=TRIALS)
    other_table(table, Path(results.location) / "trials/compacted.parquet")
    results.write_trial(make_row("d"))
    assert [row["trial_id"] for row in rows(results)] == ["a", "b", "c", "d"]


def test_of_a_trial_found_twice_the_row_that_finished_last_counts(results, make_row):
    start = datetime(2030, 1, 1, tzinfo=UTC)
    ended = [start + timedelta(seconds=second) for second in (5, 9, 7)]
    several = [make_row("t", mia=float(place), finished_at=when) for place, when in enumerate(ended)]
    other_table(pa.Table.from_pylist(several, schema=TRIALS), Path(results.location) / "trials/compacted.parquet")
    results.write_trial(make_row("t", mia=9.0, finished_at=start))
    results.write_trial(make_row("u"))
    assert [(row["trial_id"], row["mia"]) for row in rows(results)] == [("t", 1.0), ("u", 0.5)]


@pytest.mark.parametrize("name", [".t.parquet.0123", ".t.parquet", "_t.parquet", "t.parquet.tmp", "README.md"])
def test_other_files_beside_trials_are_ignored(results, make_row, name):
    results.write_trial(make_row("t"))
    results.write(f"trials/{name}", b"half a fi")
    assert (len(rows(results)), results.trials().damaged) == (1, [])


def test_a_directory_by_uri_is_the_directory(results, make_row, tmp_path):
    by_uri = Results((tmp_path / "results").as_uri() + "/")
    by_uri.write_trial(make_row("t"), [TRACE], logits())
    assert rows(results) == rows(by_uri) == [make_row("t", n_traces=1, n_predictions=2)]
    assert files(results) == ["predictions/t.parquet", "traces/t.parquet", "trials/t.parquet"]
    assert by_uri.exists()


def test_a_file_system_that_is_not_local(make_row, monkeypatch):
    from pyarrow.fs import _MockFileSystem

    mock = _MockFileSystem()
    monkeypatch.setattr("sweep.store.directory.open_location", lambda location: (mock, "bucket/results"))
    results = Results("mock://bucket/results")
    assert rows(results) == []
    results.write_trial(make_row("t"), [TRACE], logits())
    assert rows(results) == [make_row("t", n_traces=1, n_predictions=2)]
    assert results.predictions("t").num_rows == 2


def test_a_uri_that_cannot_be_opened():
    with pytest.raises(InputError, match="'nosuch://results' cannot be opened"):
        Results("nosuch://results")


@pytest.mark.parametrize("location", ["s3://", "gs://", "file:///"])
def test_a_uri_without_a_bucket_or_folder_is_bad_input(location):
    with pytest.raises(InputError, match=f"'{location}' names no bucket or folder"):
        Results(location)


def test_a_uri_of_this_machines_files_is_their_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = f"file://{tmp_path}/with%20space"
    assert absolute_location(there) == absolute_location("with space") == f"{tmp_path}/with space"
    Results(there).write("rows/l.parquet", b"1")
    assert Results("with space").read("rows/l.parquet") == b"1"
    assert absolute_location("s3://bucket/x") == "s3://bucket/x"
    assert report_folder(there, None) == tmp_path / "with space" / "report"
    assert report_folder("with space", None) == Path("with space", "report")
    assert Claims(Results(there), lambda original: False).take("o")
    assert (tmp_path / "with space" / ".claims" / "o.lock").exists()


def test_a_directory_holds_itself_and_what_lies_in_it():
    region = "?region=us-east-1"
    here = Results(f"s3://bucket/a{region}")
    for inside, expected in (("bucket/a", True), ("bucket/a/b", True), ("bucket/ab", False), ("bucket", False)):
        assert here.holds(Results(f"s3://{inside}{region}")) == expected
    assert not here.holds(Results("bucket/a"))
    assert not Results("bucket/a").holds(here)
    assert not here.holds(Results(f"s3://bucket/a{region}&endpoint_override=localhost:1"))


def test_reading_a_file_and_its_size(results):
    results.write("models/m", b"12345")
    assert (results.read("models/m"), results.size("models/m")) == (b"12345", 5)
    assert (results.read("models/n"), results.size("models/n")) == (None, None)


def test_damaged_traces_count_as_absent_and_are_named(results, make_row):
    results.write_trial(make_row("t"), [TRACE])
    results.write("traces/bad.parquet", b"")
    found = results.traces()
    assert found.table.num_rows == 1
    assert [problem.partition(":")[0] for problem in found.damaged] == ["traces/bad.parquet"]


def suggestion(study: str, number: int, **changes) -> dict:
    """A row of `suggestions`."""
    return {
        "study": study,
        "sweep": "tiny",
        "method": "uam",
        "task_id": "task",
        "number": number,
        "params": '{"epochs": 10, "rho": 2.0}',
        "space": '{"rho": {"low": 0.5, "high": 8.0, "log": true}}',
        "sampler": "tpe",
        "objectives": ["average_gap", "cost"],
        "trial_ids": ["t0", "t1"],
        "confirm_trial_ids": [],
        "suggested_at": datetime(2026, 1, 1, tzinfo=UTC),
    } | changes


def test_suggestions_are_read_back_in_the_order_in_which_they_were_made(results):
    stored = [suggestion(study, number) for study in ("b", "a") for number in (10, 9, 0)]
    for one in stored:
        results.write_suggestion(one)
    found = results.suggestions()
    assert found.table.schema.equals(SUGGESTIONS)
    assert found.damaged == []
    assert found.table.to_pylist() == stored[::-1]


def test_a_suggestion_that_is_confirmed_replaces_itself(results):
    confirmed = suggestion("a", 3, confirm_trial_ids=["c0", "c1", "c2"])
    for one in (suggestion("a", 3), confirmed):
        results.write_suggestion(one)
    assert results.suggestions().table.to_pylist() == [confirmed]
    assert files(results) == ["suggestions/a-3.parquet"]


def test_a_damaged_suggestion_is_named_and_the_others_are_read(results):
    results.write_suggestion(suggestion("a", 0))
    results.write("suggestions/a-1.parquet", b"PAR1 torn")
    found = results.suggestions()
    assert found.table["number"].to_pylist() == [0]
    assert [problem.partition(":")[0] for problem in found.damaged] == ["suggestions/a-1.parquet"]


def test_damaged_predictions_are_none(results, make_row):
    results.write_trial(make_row("t"), predictions=logits())
    results.write("predictions/t.parquet", results.read("predictions/t.parquet")[:-20])
    assert results.predictions("t") is None


WRITES_ROWS_FOREVER = """
import sys
from datetime import UTC, datetime
from sweep.store.columns import TRIALS
from sweep.store.results import Results

results = Results(sys.argv[1])
row = {field.name: "text" for field in TRIALS if not field.nullable} | {"params": "{}", "seed": 1}
row["config"] = "{" + " " * 100_000 + "}"
while True:
    for number in range(20):
        results.write_trial(row | {"trial_id": str(number)})
        if number == 0:
            print("stored", flush=True)
"""


def test_a_process_killed_while_it_writes_leaves_only_whole_files(results):
    for wait in (0.02, 0.15):
        command = [sys.executable, "-c", WRITES_ROWS_FOREVER, results.location]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "stored\n"
            time.sleep(wait)
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        found = results.trials()
        assert found.damaged == []
        assert found.table.num_rows > 0
        assert set(found.table["config"].to_pylist()) == {"{" + " " * 100_000 + "}"}


STATE = {
    "weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "running_mean": torch.tensor([0.25, -1.0], dtype=torch.float64),
    "num_batches_tracked": torch.tensor(7),
    "half": torch.tensor([1.5], dtype=torch.bfloat16),
    "nothing": torch.zeros(0, 3),
    "mask": torch.tensor([True, False]),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Results:
    """A results directory with the original `whole`, whose state is STATE."""
    results = Results(str(tmp_path_factory.mktemp("stored")))
    store_original(results, "whole", Original(STATE, "1"))
    return results


def test_an_original_is_read_back_with_types_and_shapes(stored):
    found = load_original(stored, "whole").state
    assert found.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(found[name], tensor)


def test_an_original_is_stored_whatever_its_memory_layout(results):
    last = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    tied = torch.randn(4, 4)
    state = {"last": last, "transposed": tied.T, "one": tied, "other": tied, "row": tied[1]}
    store_original(results, "o", Original(state, "1"))
    assert all(torch.equal(tensor, state[name]) for name, tensor in load_original(results, "o").state.items())


def test_an_original_that_is_not_there(stored):
    assert load_original(stored, "other") is None


@given(st.data())
def test_a_truncated_original_counts_as_absent(stored, data):
    content = stored.read(original_path("whole"))
    stored.write(original_path("cut"), content[: data.draw(st.integers(0, len(content) - 1))])
    assert load_original(stored, "cut") is None


@given(st.data())
def test_the_label_of_an_original_that_lost_its_end_counts_as_absent(stored, data):
    content = stored.read(original_path("whole"))
    assert read_label(stored, "whole") == Label(Original(STATE, "1").sha256, "1")
    stored.write(original_path("cut"), content[: data.draw(st.integers(0, len(content) - 1))])
    assert read_label(stored, "cut") is None
    assert read_label(stored, "other") is None


LENGTH = 8
BROKEN_HEADERS = {
    "no JSON": b"}",
    "no object": b"[]",
    "not text": b"\xff{}",
    "no tensors in it": b'{"__metadata__": {"sha256": "0", "code_version": "1"}, "layer": []}',
    "no places": b'{"__metadata__": {"sha256": "0", "code_version": "1"}, "layer": {"data_offsets": []}}',
    "no checksum": b'{"__metadata__": {"code_version": "1"}}',
    "no metadata": b'{"layer": {"data_offsets": [0, 0]}}',
    "endless": b"[" * 50_000,
}


@pytest.mark.parametrize("header", BROKEN_HEADERS.values(), ids=BROKEN_HEADERS)
def test_an_original_whose_header_is_damaged_has_no_label(results, header):
    results.write(original_path("o"), len(header).to_bytes(LENGTH, "little") + header)
    assert read_label(results, "o") is None
    assert load_original(results, "o") is None


@pytest.mark.parametrize("length", [0, 2**20, 2**63])
def test_an_original_whose_header_has_a_wrong_length_has_no_label(stored, length):
    content = stored.read(original_path("whole"))
    stored.write(original_path("o"), length.to_bytes(LENGTH, "little") + content[LENGTH:])
    assert read_label(stored, "o") is None


def test_a_label_is_read_whole_however_long_it_is(results):
    state = {f"{'layer' * 20}.{number}": torch.ones(1) for number in range(1000)}
    store_original(results, "o", Original(state, "1"))
    assert results.size(original_path("o")) > 2 * HEAD
    assert read_label(results, "o") == Label(Original(state, "1").sha256, "1")


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts what Linux has read")
def test_a_label_is_read_without_the_weights(results):
    def read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    store_original(results, "o", Original({"weight": torch.zeros(2**20)}, "1"))
    began = read()
    assert read_label(results, "o").version == "1"
    assert read() - began < 2 * HEAD


def test_an_original_with_any_byte_wrong_counts_as_absent(stored, monkeypatch):
    content = bytearray(stored.read(original_path("whole")))
    monkeypatch.setattr(Results, "read", lambda self, path: bytes(content))
    assert load_original(stored, "any") is not None
    version = re.search(rb'"code_version":"[^"]*"', content)  # decides about no weight
    for place in set(range(len(content))) - set(range(*version.span())):
        for bit in (0, 5):
            content[place] ^= 1 << bit
            assert load_original(stored, "any") is None, f"bit {bit} of byte {place}"
            content[place] ^= 1 << bit


def test_an_original_without_a_checksum_counts_as_absent(results):
    import safetensors.torch

    results.write(original_path("foreign"), safetensors.torch.save(STATE))
    assert load_original(results, "foreign") is None


def test_an_original_tells_the_version_of_the_code_that_trained_it(results):
    store_original(results, "o", Original(STATE, "0.1.0+12345678"))
    assert load_original(results, "o").version == "0.1.0+12345678"
