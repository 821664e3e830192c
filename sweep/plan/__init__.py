"""From a spec to trials: the grid, what an id means, versions, and what is left to run."""
