"""The road of those clients that do not use the tunnel."""


class MachineRoad:
    """This machine's own network: always there, as far as anybody knows."""

    up = True
    reason = "This machine's own network is used"
    ipv6 = True
