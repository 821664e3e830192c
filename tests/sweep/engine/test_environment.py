"""What `environment.json` says."""

from __future__ import annotations

import json

import pytest
import torch

from sweep.engine.environment import environment_json


@pytest.mark.parametrize(("precision", "tf32"), [("tf32", True), ("auto", False)])
def test_with_a_gpu_it_tells_libraries_driver_and_arithmetic(monkeypatch, tmp_path, precision, tf32):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 580.65.06\necho 580.65.06\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "a card")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91900)
    told = json.loads(environment_json("ray", precision))
    assert (told["gpus"], told["cudnn"], told["driver"]) == (["a card"], 91900, "580.65.06")
    assert (told["tf32"], told["cudnn_deterministic"]) == (tf32, True)


def test_without_a_gpu_it_tells_nothing_of_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    told = json.loads(environment_json("inline", "tf32"))
    assert told["gpus"] == []
    assert {told[name] for name in ("cuda", "cudnn", "cudnn_deterministic", "driver", "tf32")} == {None}
