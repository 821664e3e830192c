"""How well a model forgot, from stored predictions alone: per-sample comparisons with Retrain, attacks, distances."""
