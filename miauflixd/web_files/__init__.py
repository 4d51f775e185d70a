"""Sources that need no swarm: files of the web, kept as they are read."""
