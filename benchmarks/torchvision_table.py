"""Every classifier of torchvision with everything that this project does to a network, on tiny sets of tiny images.

    python benchmarks/torchvision_table.py OUT [--largest MILLIONS] [NAME ...]

Each network is trained for a step, stored, read again in another worker and unlearned by the methods that differentiate
in ways of their own; then with a forget set of one sample. Small ones first; it goes on where it was ended (OUT
holds what ran), and writes benchmarks/results/torchvision.md after each network.
"""

import argparse
import gc
import io
import json
import re
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torchvision
from machine import machine
from PIL import Image

from sweep.engine.driver import run_context
from sweep.errors import InputError
from sweep.plan.check import check_task
from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import Spec, parse_spec
from sweep.tasks.models import torchvision_names
from sweep.trial.job import Job
from sweep.trial.worker import Worker

TABLE = Path(__file__).parent / "results" / "torchvision.md"
SIZES = (32, 64, 96, 128, 224)
CLASSES, TRAIN, TEST = 3, 12, 6
STAGES: dict[str, dict[str, object]] = {
    "original": {"name": "original"},
    "fisher": {"name": "fisher", "samples": 2},
    "influence, gauss-newton": {"name": "influence", "iterations": 1, "samples": 2},
    "influence, hessian": {"name": "influence", "iterations": 1, "samples": 2, "curvature": "hessian"},
    "uam, exact": {"name": "uam", "epochs": 1, "hessian": "exact"},
}
ALONE = "one sample"


def write_images(folder: Path, size: int) -> None:
    """Noise of three classes, as a Parquet set."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(size)
    for part, count in (("train", TRAIN), ("test", TEST)):
        images = []
        for pixels in random.integers(256, size=(count, size, size, 3), dtype=np.uint8):
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, format="PNG")
            images.append({"bytes": stream.getvalue(), "path": "image.png"})
        labels = [row % CLASSES for row in range(count)]
        pq.write_table(pa.table({"image": images, "label": labels}), folder / f"{part}.parquet")


def made_spec(out: Path, name: str, size: int, forget: float, method: dict[str, object]) -> Spec:
    """A sweep of one trial."""
    own = {"image_size": size} if name.startswith("vit") else {}
    return parse_spec(
        {
            "name": "torchvision",
            "dataset": {"name": "parquet", "path": str(out / f"images-{size}"), "crop": 0, "flip": False},
            "model": {"name": name} | own,
            "training": {"epochs": 1, "lr": 1e-4, "batch_size": TRAIN},
            "seeds": [0],
            "forget": {"ratio": forget},
            "max_retries": 0,
            "methods": [method],
            "probe": {"every": 0},
            "predictions": False,
        }
    )


def smallest_size(out: Path, name: str) -> int:
    """The smallest size of images on which `plan` lets the network be trained."""
    for size in SIZES:
        try:
            check_task(made_spec(out, name, size, 0.25, STAGES["original"]))
        except InputError:
            if size == SIZES[-1]:
                raise
        else:
            return size
    raise AssertionError


def run(out: Path, spec: Spec, original_only: bool = False) -> str:
    """How the only trial of a spec ended, in a worker of its own."""
    context = run_context(spec, str(out / "results"), refresh=False)
    [trial] = plan_trials(spec)
    outcome = Worker(context).run(Job(trial, original_only))
    gc.collect()
    return outcome.status + (f": {outcome.error.strip().splitlines()[-1]}" if outcome.error else "")


def tried(out: Path, name: str) -> dict[str, object]:
    """A row of the table."""
    began = time.perf_counter()
    try:
        size = smallest_size(out, name)
    except InputError as error:
        return {"size": None} | dict.fromkeys([*STAGES, ALONE], f"refused: {error}")
    ended = {}
    trained = run(out, made_spec(out, name, size, 0.25, STAGES["original"]), original_only=True)
    for stage, method in STAGES.items():
        ended[stage] = run(out, made_spec(out, name, size, 0.25, method)) if trained == "ok" else trained
    alone = made_spec(out, name, size, 1 / TRAIN, {"name": "uam", "epochs": 1})
    try:
        check_task(alone)
        ended[ALONE] = run(out, alone)
    except InputError as error:
        ended[ALONE] = re.sub(r", got input size.*?(?=;|$)", "", f"refused: {error}")
    for path in (out / "results" / "models").glob("*"):
        path.unlink()
    return {"size": size} | ended | {"seconds": round(time.perf_counter() - began)}


def written(rows: dict[str, dict[str, object]], counts: dict[str, int], largest: float) -> str:
    """The table in Markdown; what is not plainly ok is told below it."""
    stages = [*STAGES, ALONE]
    lines = [
        "# torchvision's classifiers",
        "",
        f"`python benchmarks/torchvision_table.py OUT`: {machine()}, torchvision {torchvision.__version__}.",
        f"{TRAIN} images of {CLASSES} classes, of the smallest of {', '.join(map(str, SIZES))} pixels that a network",
        f"takes. Trained for one step, stored, read by another worker, unlearned: 3 samples, and one ({ALONE}).",
        "`diverged`: an output or weight was not finite, as can be with a network that was trained for one step: it",
        "ran, and nothing is known of how well. `refused`: by `plan`, with the line below the table.",
        "",
        "| network | million weights | pixels | " + " | ".join(stages) + " |",
        "|---|--:|--:|" + "---|" * len(stages),
    ]
    notes: dict[str, list[str]] = {}
    for name in sorted(rows, key=lambda name: (counts[name], name)):
        row = rows[name]
        words = [str(row[stage]).partition(":")[0] for stage in stages]
        lines.append(f"| {name} | {counts[name] / 1e6:.1f} | {row['size']} | " + " | ".join(words) + " |")
        for stage in stages:
            if not str(row[stage]).startswith(("ok", "diverged")):
                notes.setdefault(str(row[stage]).replace(name, "NAME"), []).append(name)
    lines += ["", *(f"- {note}: {', '.join(dict.fromkeys(names))}" for note, names in notes.items())]
    missing = sorted(set(counts) - set(rows))
    if missing:
        lines += [
            "",
            f"Not run ({len(missing)}; so far, or of more than {largest:g} million weights): {', '.join(missing)}.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--largest", type=float, default=150.0, help="networks of at most so many million weights")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for size in SIZES:
        write_images(options.out / f"images-{size}", size)
    counts = {
        name: torchvision.models.get_model_weights(name)["DEFAULT"].meta["num_params"] for name in torchvision_names()
    }
    kept = options.out / "rows.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for name in sorted(options.names or counts, key=lambda name: (counts[name], name)):
        if (name in rows and not options.names) or counts[name] > options.largest * 1e6:
            continue
        rows[name] = tried(options.out, name)
        print(name, rows[name], flush=True)
        kept.write_text(json.dumps(rows, indent=1))
        TABLE.write_text(written(rows, counts, options.largest))


if __name__ == "__main__":
    main()
