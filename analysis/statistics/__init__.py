"""Numbers: intervals of means over seeds, and which groups of trials differ. Knows nothing of sweeps."""
