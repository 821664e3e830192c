"""The driver: schedules, progress, the executor without Ray, and running one trial again."""
