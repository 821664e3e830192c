import pytest

from sweep.store.results import Results


@pytest.fixture
def directory(tmp_path):
    """A function that writes rows into a results directory and returns its path."""

    def write(rows):
        results = Results(str(tmp_path / "results"))
        for one in rows:
            results.write_trial(one)
        return str(tmp_path / "results")

    return write
