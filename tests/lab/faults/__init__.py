"""All faults, by theme; the numbers are those of the plan in the tunnel's design."""

from collections.abc import Sequence

from tests.lab.faults import calm, directories, machine, names, people, ports, servers, uplink
from tests.lab.trial import Fault

FAULTS: Sequence[type[Fault]] = (
    *calm.FAULTS,
    *servers.FAULTS,
    *uplink.FAULTS,
    *machine.FAULTS,
    *names.FAULTS,
    *ports.FAULTS,
    *people.FAULTS,
    *directories.FAULTS,
)
