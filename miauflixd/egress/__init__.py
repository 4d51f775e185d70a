"""The only HTTP clients out: `tunnel` for whatever concerns the swarm, `host` for the rest."""
