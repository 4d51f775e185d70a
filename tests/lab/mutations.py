"""Products that are broken on purpose: a lab that lets one of them pass proves nothing.

A mutation is a few lines that Python runs at the start of each of the product's processes
(`sitecustomize`), from a folder that only the lab puts on their path. They say so in a file when
they have taken hold, so that one that misses, because the product has changed, is noticed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.namespaces import command
from tests.lab.product import NAMESPACE

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One way to break the product."""

    name: str
    title: str
    code: str
    faults: Sequence[str]
    """Faults that must find it, if nothing does before."""
    caught_by: Sequence[str]
    """Beginnings of complaints, one of which must be made."""
    second_interface: bool = False
    """Whether another cable is put into the namespace."""

    def plant(self, folder: Path) -> Mapping[str, str]:
        """Write it down in a folder; return the environment in which it works."""
        place = folder / "mutation"
        place.mkdir()
        self.marker(folder).touch()
        self.marker(folder).chmod(0o666)  # unprivileged processes have mutations, too
        applied = f"open({str(self.marker(folder))!r}, 'a').write('x')\n"
        (place / "sitecustomize.py").write_text(self.code + applied)
        return {"PYTHONPATH": f"{place}:{ROOT}"}

    def marker(self, folder: Path) -> Path:
        """Return the file that is not empty when it has taken hold."""
        return folder / "mutation" / "applied"


_NO_NAMESPACE = """
from miauflixd.keeper.confinement import Confinement
whole = Confinement.command
def command(self, program):
    words = list(whole(self, program))
    assert "nsenter" in words[0] and words[1].startswith("--net=")
    return words[2:]
Confinement.command = command
"""

_NO_MASK = """
from miauflixd.keeper import confinement
view = confinement._VIEW
before, found, after = view.rpartition("$empty /run\\n")
assert found
confinement._VIEW = before + "umount --lazy /run\\n" + after
"""

_LSD = """
from miauflixd.engine import tuning
from miauflixd.keeper import firewall
whole = tuning.session_settings
def session_settings(configure):
    return {**whole(configure), "enable_lsd": True, "listen_interfaces": "0.0.0.0:6881"}
tuning.session_settings = session_settings
firewall.ruleset = lambda *_, **__: "flush ruleset"
firewall.is_closed = lambda _: True
"""

_NO_MONITOR = """
from miauflixd.keeper import health, lifecycle
names = ("DOUBT", "SUSPECT", "CERTAIN", "DEAF_DOUBT", "DEAF")
found = 0
for module in (health, lifecycle):
    for name in names:
        if hasattr(module, name):
            setattr(module, name, (1e9, 10**9))
            found += 1
assert found >= len(names)
"""

_OPEN_HTTP = """
from miauflixd import bootstrap
from miauflixd.egress.clients import open_client
assert callable(bootstrap._tunnel_http)
bootstrap._tunnel_http = lambda *_: open_client()
"""

MUTATIONS = (
    Mutation(
        name="no-namespace",
        title="the engine is started without entering the namespace",
        code=_NO_NAMESPACE,
        faults=("F31", "F1"),
        caught_by=("AUDIT a thread of the engine", "LEAK", "The product did not become well"),
    ),
    Mutation(
        name="no-mask",
        title="/run is not hidden from the engine",
        code=_NO_MASK,
        faults=("F31",),
        caught_by=("AUDIT the engine sees", "LEAK socket", "asked of the house"),
    ),
    Mutation(
        name="lsd",
        title="local discovery is on, there are no rules, and there is a second interface",
        code=_LSD,
        faults=("F31", "F1"),
        caught_by=("AUDIT link up1", "LEAK"),
        second_interface=True,
    ),
    Mutation(
        name="no-monitor",
        title="nobody looks whether the server is alive",
        code=_NO_MONITOR,
        faults=("F1",),
        caught_by=("outage",),
    ),
    Mutation(
        name="open-http",
        title="directories are asked by the house's own network",
        code=_OPEN_HTTP,
        faults=("F50",),
        caught_by=("LEAK canary (name)", "LEAK home DNS: directory-"),
    ),
)


async def add_second_interface(lab: Lab) -> None:
    """Put the house's second cable into the product's namespace, with an address of the house."""
    host = lab.topology.host
    await host.script(f"ip link set up1 netns {NAMESPACE}")
    inside = ("ip", "netns", "exec", NAMESPACE)
    await command(*inside, "ip", "addr", "add", "192.168.1.77/24", "dev", "up1")
    await command(*inside, "ip", "link", "set", "up1", "up")
