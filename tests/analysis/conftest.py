import pytest

from sweep.store.labels import learn_labels
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


@pytest.fixture
def labels_forgotten(tmp_path):
    """For a test that reads labels: tests after it, which may read no directory, have none."""
    yield
    learn_labels(Results(str(tmp_path / "unlabelled")))
