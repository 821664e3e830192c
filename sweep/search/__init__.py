"""Searches with Optuna: studies, samplers, objectives, and the schedule of suggestions."""
