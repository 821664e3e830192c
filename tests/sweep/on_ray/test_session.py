"""Where Ray is to run, by the command and the environment, and what is found before Ray is asked."""

from __future__ import annotations

import os
import socket

import pytest

from sweep.errors import InputError
from sweep.on_ray import session as ray_session
from sweep.on_ray.session import LONGEST_FOLDER, SHARED_GPU, asked_cluster, gpus_per_trial, in_use, session


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "TMPDIR"):
        monkeypatch.setenv(name, "")  # so that what a test makes of it is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(ray_session.ray, "is_initialized", lambda: False)  # other tests' Ray may be there
    monkeypatch.setattr(ray_session.ray, "shutdown", lambda: None)


@pytest.fixture
def asked(monkeypatch):
    """What Ray was asked for, one entry a start; Ray itself is not started."""
    calls: list[dict] = []
    monkeypatch.setattr(ray_session.ray, "init", lambda **options: calls.append(options))
    return calls


@pytest.fixture
def nobody():
    """An address at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def somebody():
    """An address at which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def refusal(address):
    """The one line that a session at an address is refused with."""
    with pytest.raises(InputError) as caught, session(address):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("address", "variable", "expected"),
    [
        (None, None, None),
        (None, "", None),
        (None, "local", None),
        ("local", None, None),
        ("local", "head:6379", None),
        (None, "head:6379", ("head:6379", "RAY_ADDRESS=head:6379")),
        ("auto", "head:6379", ("head:6379", "RAY_ADDRESS=head:6379")),
        ("auto", None, ("auto", "--address auto")),
        ("other:6379", "head:6379", ("other:6379", "--address other:6379")),
    ],
)
def test_which_cluster_is_asked_for(monkeypatch, address, variable, expected):
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    found = asked_cluster(address)
    assert (found and (found.address, found.named)) == expected


def test_without_an_address_ray_is_this_machines_own(asked):
    with session(None) as local:
        assert local
    assert [call["address"] for call in asked] == ["local"]


def test_a_cluster_of_the_environment_is_sent_the_code_as_one_of_the_command_is(asked, monkeypatch, somebody):
    monkeypatch.setenv("RAY_ADDRESS", somebody)
    with session(None) as local:
        assert not local
    monkeypatch.delenv("RAY_ADDRESS")
    with session(somebody):
        pass
    assert asked[0] == asked[1]
    assert asked[0]["address"] == somebody
    assert [os.path.basename(path) for path in asked[0]["runtime_env"]["py_modules"]] == ["sweep", "methods"]


def test_an_address_where_nothing_listens_is_named_with_where_it_was_given(asked, monkeypatch, nobody):
    assert refusal(nobody).startswith(f"--address {nobody}: no cluster answers: ")
    monkeypatch.setenv("RAY_ADDRESS", nobody)
    assert refusal(None).startswith(f"RAY_ADDRESS={nobody}: no cluster answers: ")
    assert refusal("auto").startswith(f"RAY_ADDRESS={nobody}: no cluster answers: ")
    monkeypatch.setenv("RAY_ADDRESS", f"ray://{nobody}")
    assert refusal(None).startswith(f"RAY_ADDRESS=ray://{nobody}: no cluster answers: ")
    assert asked == []


def test_the_address_of_a_head_that_was_killed_is_named_with_its_file(asked, monkeypatch, tmp_path, nobody, somebody):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    file = tmp_path / "ray" / "ray_current_cluster"
    file.parent.mkdir()
    file.write_text(nobody)
    assert refusal("auto").startswith(f"--address auto: no cluster answers at the address in {file}: ")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert refusal(None).startswith(f"RAY_ADDRESS=auto: no cluster answers at the address in {file}: ")
    assert asked == []
    file.write_text(somebody)
    with session("auto") as local:
        assert not local
    assert [call["address"] for call in asked] == ["auto"]


def test_a_dashboards_address_is_no_clusters(asked, monkeypatch, somebody):
    monkeypatch.setenv("RAY_ADDRESS", f"http://{somebody}")
    assert refusal(None).startswith(f"RAY_ADDRESS=http://{somebody}: a dashboard, which takes only jobs")
    assert asked == []


def test_whatever_ray_raises_is_one_line(monkeypatch, somebody):
    def broken(**options):
        raise RuntimeError("Version mismatch: the cluster has another\nand more")

    monkeypatch.setattr(ray_session.ray, "init", broken)
    assert refusal(somebody) == f"--address {somebody}: Version mismatch: the cluster has another"
    with pytest.raises(ray_session.Unsuccessful) as caught, session(None):
        pass
    assert str(caught.value) == "Ray does not start on this machine: Version mismatch: the cluster has another"


def test_a_temporary_folder_with_a_long_path_is_replaced_and_one_for_ray_refused(asked, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/" + "x" * LONGEST_FOLDER)
    with session(None):
        assert os.environ["RAY_TMPDIR"] == "/tmp"
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * LONGEST_FOLDER)
    assert f"sockets need a path of at most {LONGEST_FOLDER} bytes, such as /tmp" in refusal(None)
    assert len(asked) == 1
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (LONGEST_FOLDER - 1))
    with session(None):
        pass
    assert len(asked) == 2


@pytest.fixture
def machine(monkeypatch):
    """Sets how many GPUs Ray counts, and how many torch finds."""

    def make(ray, torch):
        monkeypatch.setattr(ray_session.ray, "cluster_resources", lambda: {"CPU": 2.0} | ({"GPU": ray} if ray else {}))
        monkeypatch.setattr(ray_session.torch.cuda, "device_count", lambda: torch)

    return make


@pytest.mark.parametrize("local", [True, False])
def test_trials_do_not_compute_on_cpus_because_ray_finds_no_gpu(make_spec, machine, local):
    machine(ray=0, torch=2)
    with pytest.raises(InputError, match=r"^resources.gpus: torch finds 2 on this machine, and Ray none .* write 0 to"):
        gpus_per_trial(make_spec(), local)
    assert gpus_per_trial(make_spec(resources={"gpus": 0}), local) == 0
    machine(ray=0, torch=0)
    assert gpus_per_trial(make_spec(), local) == 0
    machine(ray=2, torch=0)
    assert gpus_per_trial(make_spec(), local) == SHARED_GPU


def test_this_machine_has_what_is_asked_for(make_spec, machine):
    machine(ray=1, torch=1)
    assert gpus_per_trial(make_spec(resources={"gpus": 0.5}), local=True) == 0.5
    assert gpus_per_trial(make_spec(resources={"gpus": 8}), local=False) == 8
    with pytest.raises(InputError, match=r"resources.gpus: 8 wanted, and Ray finds 1 on this machine"):
        gpus_per_trial(make_spec(resources={"gpus": 8}), local=True)


@pytest.mark.parametrize(
    ("free", "gpu", "words"),
    [
        ({"CPU": 1.0}, 0, ""),
        ({}, 0, "no CPU free on the cluster (2 of 2 in use)"),
        ({"CPU": 0.5}, 0, "no CPU free on the cluster (1.5 of 2 in use)"),
        ({"CPU": 2.0, "GPU": 0.25}, 0.5, "no GPU free on the cluster (0.75 of 1 in use)"),
        ({"CPU": 2.0}, 1, "no GPU free on the cluster (1 of 1 in use)"),
        ({"CPU": 2.0, "GPU": 1.0}, 4, ""),  # no node has as much: another message says so
    ],
)
def test_what_others_hold_of_a_cluster_is_told(monkeypatch, free, gpu, words):
    monkeypatch.setattr(ray_session.ray, "cluster_resources", lambda: {"CPU": 2.0, "GPU": 1.0})
    monkeypatch.setattr(ray_session.ray, "available_resources", lambda: free)
    assert in_use({"cpu": 1, "gpu": gpu}) == words
