"""The data card of an export: what a dataset hub shows of it, and what its readers load it by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc
import yaml

from sweep.store.column_words import words_of
from sweep.store.columns import FOLDERS, NOTES
from sweep.store.redaction import redacted
from sweep.store.results import Results
from sweep.words import counted

CARD = "README.md"

LICENCE = "# license: not chosen yet. Name yours here, such as cc-by-4.0, before you share this.\n"


def data_card(results: Results, tables: Mapping[str, int]) -> str:
    """Markdown with YAML front matter in which each table is a config, the first by default.

    Args:
        tables: how many rows each exported table has, by the name of its folder.

    Raises:
        OSError: results cannot be read.
    """
    spec = _text(results, "spec.yaml")
    name = _named(spec)
    configs: list[dict[str, Any]] = [{"config_name": table, "data_files": f"{table}.parquet"} for table in tables]
    if configs:
        configs[0]["default"] = True
    front = yaml.safe_dump({"pretty_name": name, "tags": ["machine-unlearning"], "configs": configs}, sort_keys=False)
    parts = [f"---\n{front}{LICENCE}---\n\n# {name}\n", _summary(results)]
    parts += [_table(table, count) for table, count in tables.items()]
    if spec:
        parts.append(f"## Spec\n\n```yaml\n{spec.rstrip()}\n```\n")
    if environment := _text(results, "environment.json"):
        parts.append(f"## Versions and hardware\n\n```json\n{environment.rstrip()}\n```\n")
    return "\n".join(parts)


def _text(results: Results, path: str) -> str:
    return redacted((results.read(path) or b"").decode("utf-8", errors="replace"))


def _named(spec: str) -> str:
    """The sweep's name."""
    try:
        document = yaml.safe_load(spec)
    except yaml.YAMLError:
        document = None
    name = document.get("name") if isinstance(document, dict) else None
    return str(name or "results")


def _summary(results: Results) -> str:
    trials = results.trials(["method", "seed", "task_id", "status", "code_version", "device"]).table
    counted = ", ".join(f"{each['counts']} {each['values']}" for each in pc.value_counts(trials["status"]).to_pylist())
    facts = {
        "trials": f"{len(trials)}" + (f" ({counted})" if counted else ""),
        "methods": ", ".join(sorted(pc.unique(trials["method"]).to_pylist())),
        "tasks": str(len(pc.unique(trials["task_id"]))),
        "seeds": ", ".join(map(str, sorted(pc.unique(trials["seed"]).to_pylist()))),
        "devices": ", ".join(sorted(filter(None, pc.unique(trials["device"]).to_pylist()))),
        "code versions": ", ".join(sorted(pc.unique(trials["code_version"]).to_pylist())),
    }
    lines = "\n".join(f"- {key}: {value}" for key, value in facts.items() if value)
    return f"Results of unlearn-sweep, which compares machine-unlearning methods.\n\n{lines}\n"


def _table(name: str, count: int) -> str:
    rows = [f"| `{field.name}` | {field.type} | {_cell(words_of(field.name))} |" for field in FOLDERS[name]]
    head = (
        f"## {name}\n\n`{name}.parquet`, {counted(count, 'row')}.\n\n| column | type | what it holds |\n|:--|:--|:--|"
    )
    return "\n".join([head, *rows, NOTES[name]]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
