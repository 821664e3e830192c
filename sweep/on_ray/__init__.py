"""Ray: its session, jobs as trials of Ray Tune, checks of nodes, and what the death of a process means."""
