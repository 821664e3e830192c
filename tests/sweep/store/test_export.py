"""A results directory as one Parquet file per folder."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep import cli
from sweep.store import export
from sweep.store.columns import PREDICTIONS

TRACE = {"epoch": 1, "step": 9, "seconds": 0.5, "samples": 90}


def predictions(trial_id, value=1.0):
    columns = {"trial_id": [trial_id] * 2, "sample_id": [5, 9], "split": ["retain", "test"], "label": [1, 0]}
    nothing = dict.fromkeys(PREDICTIONS.names, [None] * 2)
    return pa.table(nothing | columns | {"logits": pa.array([[0.5], [value]], pa.list_(pa.float16()))}, PREDICTIONS)


@pytest.fixture
def stored(results, make_row):
    """Three trials, the last of them repeated without predictions, and a damaged file in each of two folders."""
    for number, name in enumerate("abc"):
        results.write_trial(make_row(name, seed=number), [TRACE | {"trial_id": name}], predictions(name, number))
    results.write_trial(make_row("c", seed=7))
    for folder in ("trials", "predictions"):
        results.write(f"{folder}/bad.parquet", b"PAR1 torn")
    return results


@pytest.fixture
def command(capsys, monkeypatch):
    """`unlearn-sweep export`: exit status, what was printed, and lines on standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["unlearn-sweep", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return ended.value.code or 0, told.out, told.err.splitlines()

    return call


@pytest.mark.parametrize("together", [1, export.TOGETHER])
def test_each_folder_is_a_file_that_reads_as_its_rows_do(stored, command, tmp_path, monkeypatch, together):
    monkeypatch.setattr(export, "TOGETHER", together)
    out = tmp_path / "new" / "out"
    code, told, warned = command(stored.location, out)
    counts = {"trials": 3, "traces": 2, "predictions": 4}
    *said, last = told.splitlines()
    assert (code, said) == (0, [f"{out}/{name}.parquet: {count} rows" for name, count in counts.items()])
    assert last == f"{out}/README.md: describes them, and leaves the licence to you"
    assert [line.partition(".parquet: ")[0] for line in warned] == ["warning: trials/bad", "warning: predictions/bad"]
    tables = ["predictions.parquet", "traces.parquet", "trials.parquet"]
    assert sorted(path.name for path in out.iterdir()) == ["README.md", *tables]
    assert pq.read_table(out / "trials.parquet").equals(stored.trials().table)
    assert pq.read_table(out / "traces.parquet").equals(stored.traces().table)
    assert pq.read_table(out / "predictions.parquet").equals(pa.concat_tables([predictions("a", 0), predictions("b")]))
    assert pq.ParquetFile(out / "predictions.parquet").num_row_groups == (2 if together == 1 else 1)
    assert pq.ParquetFile(out / "trials.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
    assert pd.read_parquet(out / "trials.parquet")["seed"].tolist() == [0, 1, 7]
    assert [list(row) for row in pd.read_parquet(out / "predictions.parquet")["logits"]] == [[0.5], [0], [0.5], [1]]


def test_what_is_there_is_not_replaced(stored, command, tmp_path):
    (tmp_path / "traces.parquet").write_bytes(b"mine")
    code, told, [line] = command(stored.location, tmp_path)
    assert (code, told) == (2, "")
    assert line == (
        f"unlearn-sweep: {tmp_path}/traces.parquet: exists; export replaces no file: remove it or name another folder"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "traces.parquet"]


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("s3://bucket/x", "not to a URI"),
        *[(out, "among the results") for out in ("results", "results/trials", "results/models", "link/x", "URI/x")],
        ("file", "is not a folder"),
        ("dangling", "is not a folder"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_one_line(stored, command, tmp_path, monkeypatch, out, why):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("dangling").symlink_to("nowhere")
    Path("link").symlink_to("results")
    out = out.replace("URI", f"file://{tmp_path}/results")
    before = sorted(tmp_path.rglob("*"))
    code, told, [line] = command(stored.location, out)
    assert (code, told) == (2, "")
    assert why in line
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["trials.parquet", "README.md"])
def test_a_link_that_leads_nowhere_is_not_replaced(stored, command, tmp_path, name):
    (tmp_path / name).symlink_to("nowhere")
    code, told, [line] = command(stored.location, tmp_path)
    assert (code, told, f"{tmp_path}/{name}: exists" in line) == (2, "", True)
    assert (tmp_path / name).readlink() == Path("nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["results", name])


def test_an_export_that_fails_leaves_no_file(stored, tmp_path, monkeypatch):
    def full(results):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_predictions", full)
    with pytest.raises(OSError, match="No space left"):
        export.export(stored, str(tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def test_merged_files_of_earlier_versions_are_exported_as_they_are_read(command, tmp_path):
    merged = shutil.copytree(Path(__file__).with_name("merged"), tmp_path / "merged")
    assert command(merged, tmp_path / "out")[0] == 0
    found = {path.stem: pq.read_table(path).to_pylist() for path in (tmp_path / "out").glob("*.parquet")}
    assert set(found) == {"trials", "traces", "predictions", "suggestions"}
    assert sorted((row["trial_id"], row["mia"]) for row in found["trials"]) == [
        *[("t0", 1.0), ("t1", 2.0), ("t2", 3.0), ("t3", 4.0)]
    ]
    last = {row["trial_id"]: row["logits"] for row in found["predictions"]}
    assert last == {"t0": [1.0], "t1": [2.0], "t2": [2.0], "t3": [1.0]}
    assert [len(found[name]) for name in ("traces", "predictions", "suggestions")] == [8, 8, 2]
