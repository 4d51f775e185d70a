"""A film, a tracker and seeders on the loopback: the demo, and the swarm of tests and bench."""
