"""One trial in one process: train, unlearn, measure, and make its row."""
