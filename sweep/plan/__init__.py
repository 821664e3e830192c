"""From a spec to trials: the grid, identities, code versions, and what is left to run."""
