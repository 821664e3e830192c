"""Searches with Optuna: studies, samplers, what is minimised, and the schedule of suggestions."""
