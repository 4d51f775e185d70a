"""The worker program that opens media files: what is in them, and their parts in other containers.

A file out of a swarm was made by anybody. Whatever takes it apart is a process of its own, without
a way to the network or the disk, and costs one viewer a second when it breaks.

Others import of it only `messages` and `media`.
"""
