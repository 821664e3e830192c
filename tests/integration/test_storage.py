"""Results elsewhere than on a local disk: an object store, one that fails now and then, full and read-only storage."""

import io
import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from object_store import CREDENTIALS, ObjectStore
from PIL import Image
from pyarrow import fs as pafs
from tiny_sweeps import BUILT_INS, call, rows, run, write_spec

from sweep.store import index
from sweep.store.columns import TRIALS
from sweep.store.original_labels import HEAD, Label, read_label
from sweep.store.originals import Original, store_original
from sweep.store.results import Results
from sweep.store.running import RunningFiles
from sweep.trial import so_far

METHODS = [entry for entry in BUILT_INS if entry["name"] in ("original", "finetune", "uam")]


@pytest.fixture(scope="module", autouse=True)
def _credentials():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def flaky():
    with ObjectStore() as store:
        store.refuse_every = 10
        yield store


@pytest.fixture(scope="module")
def on_flaky(flaky, tmp_path_factory):
    """Four trials through Ray, stored where one request in ten is refused: URI and how the command ended."""
    uri = flaky.uri("swept")
    ended = run("run", write_spec(tmp_path_factory.mktemp("flaky"), METHODS), "--out", uri, **CREDENTIALS)
    return uri, ended


def test_a_sweep_on_storage_that_refuses_one_request_in_ten_ends_like_one_on_a_disk(flaky, on_flaky, inline_sweep):
    uri, ended = on_flaky
    assert (ended.code, ended.err) == (0, "")
    assert flaky.refused > 4
    names = {row["method"] for row in rows(uri)}
    for kind in ("trials", "traces"):
        expected = [row for row in rows(inline_sweep.out) if row["method"] in names]
        ids = {row["trial_id"] for row in expected}
        assert rows(uri, kind) == [row for row in rows(inline_sweep.out, kind) if row["trial_id"] in ids]
    assert len(names) == 3
    predictions = rows(inline_sweep.out, "predictions")
    assert rows(uri, "predictions") == {name: predictions[name] for name in rows(uri, "predictions")}


def test_every_command_reads_an_object_store(on_flaky, tmp_path):
    uri, _ = on_flaky
    assert "4 trials, 4 done before, 0 to run" in call("run", write_spec(tmp_path, METHODS), "--out", uri).out
    assert f"4 trials in {uri}" in call("status", uri).out
    assert call("report", uri, "--out", tmp_path / "report").code == 0
    [trial_id] = [row["trial_id"] for row in rows(uri) if row["method"] == "original"]
    assert call("rerun", uri, trial_id).code == 0
    for sent, before in ((4, 0), (0, 4)):
        shown = call("track", uri, "--to", "tensorboard").out
        assert shown == f"tensorboard: {sent} trials sent, {before} before\n"


def test_files_of_an_object_store_are_read_once(monkeypatch):
    monkeypatch.setattr(index, "FEWEST", 4)
    row = {field.name: "text" for field in TRIALS if not field.nullable} | {
        "status": "ok",
        "seed": 0,
        "config": "{}",
        "params": "{}",
    }
    with ObjectStore() as store:
        results = Results(store.uri("many"))
        for number in range(6):
            results.write_trial(row | {"trial_id": f"t{number}"})
        for settled, opened in ((3600 * 10**9, 6), (0, 6), (0, 0)):  # an hour ago there were none; now there are
            monkeypatch.setattr(index, "SETTLED", settled)
            time.sleep(1.1)  # the store's times are whole seconds
            store.paths.clear()
            assert results.trials().table["trial_id"].to_pylist() == [f"t{number}" for number in range(6)]
            assert sum(store.paths["GET", f"/bucket/many/trials/t{number}.parquet"] for number in range(6)) == opened
        results.write_trial(row | {"trial_id": "t3", "seed": 7})
        results.remove("trials/t4.parquet")
        assert results.trials().table["seed"].to_pylist() == [0, 0, 0, 7, 0]
        [part] = [name for name in results.names(".index") if name.endswith(".parquet")]
        results.write(f".index/{part}", b"PAR1 torn")
        assert results.trials().table["seed"].to_pylist() == [0, 0, 0, 7, 0]


def test_how_far_a_trial_is_lies_in_an_object_store_while_it_runs(flaky, monkeypatch):
    monkeypatch.setattr(so_far, "SECONDS", 0.0)
    results = Results(flaky.uri("running"))
    row = {field.name: "text" for field in TRIALS if not field.nullable} | {"seed": 0, "config": "{}", "params": "{}"}
    with so_far.told(results, row | {"trial_id": "t", "started_at": datetime.now(UTC)}) as tell:
        tell([{"epoch": 1, "step": 3, "seconds": 0.5, "samples": 9, "retain_loss": float("nan")}])
        [running] = RunningFiles(results).trials()
        assert (running.id, running.traces[0]["epoch"]) == ("t", 1)
    assert results.names("running") == []
    began = time.monotonic()
    with so_far.told(results, row | {"trial_id": "short"}):
        pass
    assert time.monotonic() - began < 5, "what is not there is removed without trying again and again"


def test_of_an_original_in_an_object_store_a_run_reads_the_head(flaky):
    results = Results(flaky.uri("labelled"))
    original = Original({"weight": torch.zeros(2**20)}, "1")
    store_original(results, "o", original)
    flaky.ranges.clear()
    assert read_label(results, "o") == Label(original.sha256, "1")
    assert flaky.ranges == [f"bytes=0-{HEAD - 1}"]


def test_a_bucket_that_is_not_there_is_one_line(flaky, tmp_path):
    uri = flaky.uri("x").replace("s3://bucket/", "s3://no-such-bucket/")
    ended = call("run", write_spec(tmp_path, METHODS), "--out", uri, "--executor", "inline")
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert "NO_SUCH_BUCKET" in ended.err


LOADS = """
import sys
from sweep.tasks.datasets import ParquetImages
dataset = ParquetImages(path=sys.argv[1])
print(dataset.fingerprint(), dataset.load().train_images.sum())
"""


def test_a_dataset_at_a_uri_reaches_a_node_once_for_all_its_processes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (2, 6, 8, 8), dtype=np.uint8)
    with ObjectStore() as store:
        uri = store.uri("data")
        filesystem, root = pafs.FileSystem.from_uri(uri)
        for split, images in zip(("train", "test"), pixels, strict=True):
            encoded = [{"bytes": png(image)} for image in images]
            with filesystem.open_output_stream(f"{root}/{split}.parquet") as stream:
                pq.write_table(pa.table({"image": encoded, "label": [0, 1, 2] * 2}), stream)
        store.paths.clear()
        command = [sys.executable, "-c", LOADS, uri]
        environment = os.environ | {"UNLEARN_SWEEP_CACHE": str(tmp_path / "cache")}
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
        printed = {process.communicate()[0] for process in processes}
    assert len(printed) == 1
    assert str(pixels[0].astype(int).sum() * 3) in printed.pop()
    assert store.paths["GET", "/bucket/data/train.parquet"] == store.paths["GET", "/bucket/data/test.parquet"] == 1


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(stream, format="PNG")
    return stream.getvalue()


def test_storage_that_stays_away_is_given_up(tmp_path, monkeypatch):
    """S3's own client is what tries each attempt again; here the attempts are counted."""
    from sweep.store import retry as storage

    monkeypatch.setattr(storage.AGAIN, "sleep", lambda seconds: None)
    monkeypatch.setattr("tenacity.sleep", lambda seconds: None)
    calls = []

    def fails():
        calls.append(None)
        raise OSError("AWS Error SLOW_DOWN during PutObject operation")

    with pytest.raises(OSError, match="SLOW_DOWN"):
        storage.steady(fails)
    assert len(calls) == 6


@pytest.mark.parametrize("error", [PermissionError(13, "no"), FileNotFoundError(2, "no"), OSError(28, "No space left")])
def test_what_would_fail_again_is_not_tried_again(error):
    from sweep.store.retry import steady

    calls = []

    def fails():
        calls.append(None)
        raise error

    with pytest.raises(OSError):
        steady(fails)
    assert len(calls) == 1
