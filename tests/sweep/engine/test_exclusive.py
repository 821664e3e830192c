"""Commands that would run the same trials at the same time."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from sweep.engine.exclusive import exclusively
from sweep.errors import InputError


@pytest.mark.parametrize(("other", "refused"), [({"a", "b"}, True), ({"b", "c"}, True), ({"c"}, False), (set(), False)])
def test_the_second_command_is_refused_what_the_first_is_running(tmp_path, other, refused):
    with exclusively(str(tmp_path), {"a", "b"}), exclusively(str(tmp_path / "elsewhere"), other):
        if refused:
            with pytest.raises(InputError, match=f"process {os.getpid()} on "), exclusively(str(tmp_path), other):
                pass
        else:
            with exclusively(str(tmp_path), other):
                pass
    with exclusively(str(tmp_path), other):
        pass
    assert not list(tmp_path.glob(".claims/*.command"))


def test_what_a_killed_command_was_running_is_free(tmp_path):
    code = (
        "import sys, time; from sweep.engine.exclusive import exclusively\n"
        "with exclusively(sys.argv[1], {'a'}):\n    print('here', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "here\n"
        with pytest.raises(InputError, match=f"process {process.pid} on "), exclusively(str(tmp_path), {"a"}):
            pass
    finally:
        process.kill()
        process.communicate()
    with exclusively(str(tmp_path), {"a"}):
        assert len(list(tmp_path.glob(".claims/*.command"))) == 1


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_where_files_cannot_be_locked_nothing_is_refused_and_nothing_left(tmp_path, monkeypatch, number):
    def refuse(descriptor, operation):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with exclusively(str(tmp_path), {"a"}), exclusively(str(tmp_path), {"a"}):
        pass
    assert not list(tmp_path.glob(".claims/*.command"))


def test_at_a_uri_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with exclusively("s3://bucket/mine", {"a"}), exclusively("s3://bucket/mine", {"a"}):
        assert list(tmp_path.iterdir()) == []
