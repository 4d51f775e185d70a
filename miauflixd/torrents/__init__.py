"""The swarm, seen from asyncio: sources, the engine's process, read-ahead and readers."""
