"""The keeper: the privileged child that owns the tunnel and faces no network of its own.

It builds the namespace, WireGuard in it and the engine's confinement, watches over the tunnel's
health and changes to another endpoint. Others import only its `messages`.
"""
