"""Damage to files of results: is each reported, or read as it was? python benchmarks/corruption.py [FILES]

Bits flipped, ends cut off, pages zeroed or overwritten, in trials, traces, predictions (of relearned models too),
suggestions, lists of rows, the index and originals. Child processes read, so that one that dies is counted. `unsealed`
are trials without the checksum of the whole file, as other programs write them: they show what that checksum is for.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from machine import machine

from sweep.store import index
from sweep.store.checksum import MARK
from sweep.store.columns import FOLDERS, PREDICTIONS
from sweep.store.json_columns import OBJECTS
from sweep.store.original_labels import original_path
from sweep.store.originals import Original, load_original, store_original
from sweep.store.relearning import Relearning
from sweep.store.results import Relearned, Results
from sweep.store.row_lists import RowList, stored_row_list, write_row_list

KINDS = (*FOLDERS, "index", "original", "unsealed")
PAGES = (64, 512, 4096)
RELEARNING = Relearning("retain", 3, 0.01, 64)


def write(results: Results, trials: int = 8) -> None:
    """Rows with a value in every column, as long as real ones."""
    generator = np.random.default_rng(0)
    for number in range(trials):
        trial_id = f"{number:016x}"
        row = made("trials", generator)
        row |= {"trial_id": trial_id, "status": "ok", "config": json.dumps({"key": "x" * 700, "number": number})}
        traces = [{field.name: value(field.type, generator) for field in FOLDERS["traces"]} for _ in range(20)]
        logits = pa.array(list(generator.normal(size=(200, 10)).astype(np.float16)), pa.list_(pa.float16()))
        columns = [[trial_id] * 200, range(200), ["test"] * 200, generator.integers(0, 10, 200), logits]
        named = zip(["trial_id", "sample_id", "split", "label", "logits"], columns, strict=True)
        predictions = pa.table({name: pa.nulls(200) for name in PREDICTIONS.names} | dict(named)).cast(PREDICTIONS)
        traces = [trace | {"trial_id": trial_id, "other": None} for trace in traces]
        points = [made("relearned", generator) for _ in range(4)]
        row |= {"model_sha256": "of the model"}
        results.write_trial(row, traces, predictions, Relearned(RELEARNING, points, predictions))
        results.write_suggestion(made("suggestions", generator) | {"study": "s", "number": number})
        write_row_list(results, RowList(np.arange(number, number + 50), "list.csv"))


def made(folder: str, generator: np.random.Generator) -> dict[str, object]:
    """A row with a value in every column."""
    row = {field.name: value(field.type, generator) for field in FOLDERS[folder]}
    return row | dict.fromkeys(OBJECTS[folder], '{"key": 0.5}')


def value(kind: pa.DataType, generator: np.random.Generator) -> object:
    """Something of an Arrow type."""
    if pa.types.is_floating(kind):
        return float(generator.normal())
    if pa.types.is_integer(kind):
        return int(generator.integers(0, 1000))
    if pa.types.is_timestamp(kind):
        return datetime(2030, 1, 1, tzinfo=UTC)
    return ["a", "b"] if pa.types.is_list(kind) else f"text {generator.integers(0, 1000)}"


def damages(rng: random.Random) -> dict[str, Callable[[bytes], bytes]]:
    """Ways to damage a file, drawn at random."""

    def flip(content: bytes, count: int) -> bytes:
        changed = bytearray(content)
        for _ in range(count):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)

    def page(content: bytes, fill: Callable[[int], bytes]) -> bytes:
        size = rng.choice(PAGES)
        start = rng.randrange(-(-len(content) // size)) * size
        return content[:start] + fill(len(content[start : start + size])) + content[start + size :]

    return {
        "one bit": lambda content: flip(content, 1),
        "16 bits": lambda content: flip(content, 16),
        "a bit of the footer": lambda content: content[: -len(content) // 3] + flip(content[-len(content) // 3 :], 1),
        "cut off": lambda content: content[: rng.randrange(len(content))],
        "a page zeroed": lambda content: page(content, bytes),
        "a page overwritten": lambda content: page(content, rng.randbytes),
    }


def prepare(root: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """For each kind a results directory with one file to damage, and what its reader finds: content, or nothing."""

    def only(kind: str, folder: str) -> tuple[Path, Callable[[], object]]:
        results = Results(str(root / kind))
        write(results, 1)
        [info] = results.files(folder)
        if folder == "predictions":
            trial_id = info.base_name.removesuffix(".parquet")
            return Path(info.path), lambda: (found := results.predictions(trial_id)) and found.to_pylist()
        if folder == "rows":
            return Path(info.path), lambda: listed(results, info.base_name.removesuffix(".parquet"))
        if folder == "relearned_predictions":
            trial_id = info.base_name.partition("-")[0]
            return Path(
                info.path
            ), lambda: (found := results.relearned_predictions(trial_id, RELEARNING.id)) and found.to_pylist()
        read = {
            "trials": results.trials,
            "traces": results.traces,
            "suggestions": results.suggestions,
            "relearned": results.relearned,
        }[folder]

        def rows() -> object:
            found = read()
            assert bool(found.damaged) != bool(len(found.table)), "neither read nor named"
            return found.table.to_pylist()

        return Path(info.path), rows

    prepared = {folder: only(folder, folder) for folder in FOLDERS}
    prepared["index"] = indexed(Results(str(root / "index")))
    prepared["unsealed"] = only("unsealed", "trials")
    path = prepared["unsealed"][0]
    path.write_bytes(path.read_bytes().replace(MARK, bytes(len(MARK))))
    results = Results(str(root / "original"))
    torch.manual_seed(0)
    state = {"weight": torch.randn(20, 30), "bias": torch.randn(20), "steps": torch.tensor(7)}
    store_original(results, "o", Original(state, "0.1.0+12345678"))
    prepared["original"] = root / "original" / original_path("o"), lambda: state_of(results)
    return prepared


def indexed(results: Results) -> tuple[Path, Callable[[], object]]:
    """The index's only file, and what is read with it, or without it."""
    write(results)
    for info in results.files("trials"):
        os.utime(info.path, (0, 0))
    index.FEWEST = 8
    expected = results.trials()
    [part] = Path(results.location, index.INDEX).glob("*.parquet")

    def rows() -> object:
        for other in set(part.parent.iterdir()) - {part}:
            other.unlink()
        found = results.trials()
        assert not found.damaged
        assert found.table.equals(expected.table), "wrong rows"
        return found.table.to_pylist()

    return part, rows


def listed(results: Results, name: str) -> object:
    try:
        return stored_row_list(results, name).tolist()
    except OSError:
        return None


def state_of(results: Results) -> object:
    found = load_original(results, "o")
    return None if found is None else {name: tensor.tolist() for name, tensor in found.state.items()}


def read_damaged(first: int, last: int) -> None:
    """Damage and read the files numbered so; prints a line before and a line after each."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(Path(folder))
        for number in range(first, last):
            rng = random.Random(number)
            kind, (path, read) = list(prepared.items())[number % len(prepared)]
            name, damage = rng.choice(list(damages(rng).items()))
            whole, expected = path.read_bytes(), read()
            assert expected
            print(json.dumps([number, kind, name]), flush=True)
            path.write_bytes(damage(whole))
            try:
                found = read()
                ended = "told" if not found else "unharmed" if found == expected else "WRONG"
            except Exception as error:
                ended = f"RAISED {type(error).__name__}"
            path.write_bytes(whole)
            print(json.dumps(ended), flush=True)


def main(files: int) -> None:
    """Damage so many files and print what became of them; exit status 1 if one was read wrongly, or not at all."""
    print(machine())
    counts: Counter[tuple[str, str]] = Counter()
    number = 0
    while number < files:
        command = [sys.executable, __file__, "--read", str(number), str(files)]
        shown = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        assert shown, "nothing was read"
        for began, ended in zip(shown[::2], [*shown[1::2], '"DIED"'], strict=False):
            number, kind, name = json.loads(began)
            counts[kind, json.loads(ended)] += 1
            counts[name, json.loads(ended)] += kind != "unsealed"
            if json.loads(ended)[0].isupper():
                print(f"{number}: {kind}, {name}: {json.loads(ended)}")
        number += 1
    ends = sorted({ended for _, ended in counts}, key=lambda ended: (ended[0].isupper(), ended))
    print(f"{'':22}" + "".join(f"{ended:>12}" for ended in ends))
    for row in dict.fromkeys(name for name, _ in sorted(counts)):
        print(f"{row:22}" + "".join(f"{counts[row, ended]:12}" for ended in ends))
    bad = sum(count for (kind, ended), count in counts.items() if kind in KINDS[:-1] and ended[0].isupper())
    print(f"{sum(counts[kind, ended] for kind in KINDS[:-1] for ended in ends)} files; wrong, raised or died: {bad}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read_damaged(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1200)
