"""Where code versions are mixed: in what is averaged, and in what stands side by side."""

from __future__ import annotations

import pytest

from analysis.reading.mixed_code import Computed, mixed_code

NEW, OLD = "0.1.0+aaaa", "0.1.0+bbbb"


def row(
    method: str,
    code: str = NEW,
    original: str | None = None,
    params: str = "{}",
    task: str = "task",
    model: str = "net",
) -> Computed:
    return Computed((task, method, params), ("digits", model, method), code, original)


CASES = {
    "one version": ([row("uam"), row("uam"), row("retrain")], {}, {}),
    "averaged": ([row("uam"), row("uam", OLD)], {("task", "uam", "{}"): [NEW, OLD]}, {"task": [NEW, OLD]}),
    "side by side": ([row("uam"), row("uam", OLD, params="other")], {}, {"task": [NEW, OLD]}),
    "another method": ([row("uam"), row("neggrad", OLD)], {}, {"task": [NEW, OLD]}),
    "another task": ([row("uam"), row("uam", OLD, task="other")], {}, {}),
    "an edited plugin": (
        [row("a:B", f"{NEW}+1"), row("a:B", f"{NEW}+2")],
        {("task", "a:B", "{}"): [f"{NEW}+1", f"{NEW}+2"]},
        {"task": [f"{NEW}+1", f"{NEW}+2"]},
    ),
    "an edited plugin side by side": (
        [row("a:B", f"{NEW}+1"), row("a:B", f"{NEW}+2", params="other")],
        {},
        {"task": [f"{NEW}+1", f"{NEW}+2"]},
    ),
    "different plugins": ([row("a:B", f"{NEW}+1"), row("c:D", f"{NEW}+2"), row("uam")], {}, {}),
    "originals": (
        [row("uam", original=NEW), row("uam", original=OLD)],
        {("task", "uam", "{}"): [f"originals of {NEW}", f"originals of {OLD}"]},
        {"task": [NEW, OLD]},
    ),
    "originals of an edited model": (
        [row("uam", f"{NEW}+1", f"{NEW}+1", model="m:n"), row("retrain", f"{NEW}+1", model="m:n")],
        {},
        {},
    ),
}


@pytest.mark.parametrize(("rows", "averaged", "compared"), CASES.values(), ids=CASES)
def test_where_code_versions_are_mixed(rows, averaged, compared):
    found = mixed_code(rows)
    assert (found.averaged, found.compared) == (averaged, compared)
