"""The one road of the swarm's traffic, seen by the house."""
