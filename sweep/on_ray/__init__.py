"""Ray: its session, jobs as trials of Ray Tune, nodes, and what the death of a process means."""
