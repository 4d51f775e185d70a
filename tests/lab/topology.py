"""The places and the cables between them.

    lan ──┐                                   ┌── s1  wireguard-go, names, way out
          ├─ isp (router, witness) ── core ───┼── s2
    host ─┘   192.168.1.1     185.213.0.1     ├── s3
    192.168.1.50                              └── net (everybody else's addresses)

`host` is the house: the product runs there. Both families are routed all the way, so a packet that
does leave in the open arrives, and is answered. Interfaces are called after what they lead to.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from tests.lab.namespaces import CommandError, Namespace, command

GATEWAY, HOST, OTHER_HOST, LAN = "192.168.1.1", "192.168.1.50", "192.168.1.51", "192.168.1.60"
GATEWAY_V6, HOST_V6 = "2a02:4780:77::1", "2a02:4780:77::50"
UPLINK, SECOND_UPLINK = "house", "house2"
"""The router's ends of the cables to the house; the second one is not in use at first."""
SECOND_HOST = "192.168.1.52"

SERVERS = {"s1": "185.213.0.11", "s2": "185.213.0.12", "s3": "185.213.0.13"}
SERVER_PORT = 51820

RESOLVERS = ("1.1.1.1", "9.9.9.9", "8.8.8.8")
RESOLVERS_V6 = ("2606:4700:4700::1111", "2620:fe::fe")
TRACKER, UDP_TRACKER, WEB_SEED, DHT_NODE = "45.83.10.1", "45.83.10.2", "45.83.10.3", "45.83.10.5"
ECHO = "45.83.10.7"
DIRECTORY, DIRECTORY_BY_ADDRESS = "45.83.10.8", "45.83.10.9"
"""The same one; the second address has no name."""
SEEDS = ("45.83.20.11", "45.83.20.12", "45.83.20.13")
SEEDS_V6 = tuple(f"2a0d:5600:20::{number}" for number in (11, 12, 13))
TRACKER_V6 = "2a0d:5600:10::1"

Direction = Literal["both", "to", "from"]


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All namespaces, and the switches of the cables."""

    host: Namespace
    isp: Namespace
    lan: Namespace
    net: Namespace
    servers: dict[str, Namespace]

    @classmethod
    async def build(cls) -> "Topology":
        """Make everything; it ends with the run."""
        names = ("host", "isp", "lan", "net", *SERVERS)
        spaces = {name: await Namespace.make(name) for name in names}
        world = cls(
            **{name: spaces[name] for name in ("host", "isp", "lan", "net")},
            servers={name: spaces[name] for name in SERVERS},
        )
        await world._home()
        await world._core()
        await world._routes()
        return world

    async def _home(self) -> None:
        await self.isp.script(
            "ip link add home type bridge forward_delay 0 mcast_snooping 0",
            "ip link set home up",
            f"ip addr add {GATEWAY}/24 dev home",
            f"ip addr add {GATEWAY_V6}/64 dev home nodad",
        )
        await self._cable(self.host, "up0", UPLINK, "home")
        await self._cable(self.host, "up1", SECOND_UPLINK, "home")
        await self.host.script("ip link set up1 down")
        await self._cable(self.lan, "up0", "tv", "home")
        for space, address in ((self.host, HOST), (self.lan, LAN)):
            await space.script(
                f"ip addr add {address}/24 dev up0", f"ip route add default via {GATEWAY}"
            )
        await self.host.script(
            f"ip addr add {HOST_V6}/64 dev up0 nodad",
            f"ip route add default via {GATEWAY_V6} dev up0",
        )

    async def _core(self) -> None:
        await self.isp.script(
            "ip link add core type bridge forward_delay 0 mcast_snooping 0",
            "ip link set core up",
            "ip addr add 185.213.0.1/24 dev core",
            "ip addr add 2a02:185::1/64 dev core nodad",
        )
        for name, space in {**self.servers, "net": self.net}.items():
            await self._cable(space, "up0", name, "core")
            address = SERVERS.get(name, "185.213.0.254")
            await space.script(f"ip addr add {address}/24 dev up0")
        await self.net.script("ip addr add 2a02:185::254/64 dev up0 nodad")
        # Not on the loopback: libtorrent would listen there alone.
        single = (TRACKER, UDP_TRACKER, WEB_SEED, DHT_NODE, ECHO, DIRECTORY, DIRECTORY_BY_ADDRESS)
        for address in (*RESOLVERS, *single, *SEEDS):
            await self.net.script(f"ip addr add {address}/32 dev up0")
        for address in (*RESOLVERS_V6, TRACKER_V6, *SEEDS_V6):
            await self.net.script(f"ip addr add {address}/128 dev up0 nodad")

    async def _routes(self) -> None:
        for space in (self.isp, *self.servers.values()):
            await space.script(
                "sysctl -qw net.ipv4.ip_forward=1", "ip route add default via 185.213.0.254"
            )
        await self.isp.script(
            "sysctl -qw net.ipv6.conf.all.forwarding=1",
            "ip route add default via 2a02:185::254 dev core",
        )
        await self.net.script("ip route add 2a02:4780::/32 via 2a02:185::1 dev up0")
        await self.isp.run("nft", "-f", "-", text=_ROUTER_RULES)
        for space in self.servers.values():
            await space.run("nft", "-f", "-", text=_SERVER_RULES)

    async def _cable(self, space: Namespace, inside: str, outside: str, bridge: str) -> None:
        await command(
            *("ip", "link", "add", inside, "netns", space.name, "type", "veth"),
            *("peer", "name", outside, "netns", self.isp.name),
        )
        await self.isp.script(f"ip link set {outside} master {bridge} up")
        await space.script(f"ip link set {inside} up")

    # --- the way to a server ---

    async def drop(self, server: str, direction: Direction = "both", *, percent: int = 100) -> None:
        """Lose packets between the house and a server's WireGuard port."""
        chance = "" if percent >= 100 else f"numgen random mod 100 < {percent}"
        rules = []
        if direction in {"both", "to"}:
            rules.append(f"ip daddr {SERVERS[server]} {chance} drop")
        if direction in {"both", "from"}:
            rules.append(f"ip saddr {SERVERS[server]} {chance} drop")
        text = f"flush chain inet lab {server}\n" + "".join(
            f"add rule inet lab {server} {rule}\n" for rule in rules
        )
        await self.isp.run("nft", "-f", "-", text=text)

    async def restore(self, server: str) -> None:
        """Lose nothing on the way to a server any more."""
        await self.isp.script(f"nft flush chain inet lab {server}")

    # --- the cable to the house ---

    async def narrow(self, rate: str, *, queue: str) -> None:
        """Let no more through than a rate, in both directions; the queue is a time, as `800ms`."""
        shape = f"tbf rate {rate} latency {queue} burst 16k"
        await self.isp.script(f"tc qdisc replace dev {UPLINK} root {shape}")
        await self.host.script(f"tc qdisc replace dev up0 root {shape}")

    async def widen(self) -> None:
        """Take the limit off."""
        await self.isp.script(f"tc qdisc del dev {UPLINK} root")
        await self.host.script("tc qdisc del dev up0 root")

    async def pull(self) -> None:
        """Pull the cable: both ends see that."""
        await self.isp.script(f"ip link set {UPLINK} down")

    async def plug(self) -> None:
        """Put it back; routes that went with the carrier are made anew, as a network manager does.

        (They stay: an interface without a carrier keeps them, one that is down does not.)
        """
        await self.isp.script(f"ip link set {UPLINK} up")

    async def cut(self) -> None:
        """Cut the cable somewhere behind the socket in the wall: nobody sees that."""
        await self.isp.script(f"ip link set {UPLINK} nomaster")

    async def mend(self) -> None:
        await self.isp.script(f"ip link set {UPLINK} master home")

    async def plug_second(self, *, metric: int) -> None:
        """Give the house another uplink."""
        await self.host.script(
            f"ip addr add {SECOND_HOST}/24 dev up1 noprefixroute",
            "ip link set up1 up",
            f"ip route add default via {GATEWAY} dev up1 onlink metric {metric}",
        )

    async def unplug_second(self) -> None:
        await self.host.script("ip addr flush dev up1", "ip link set up1 down")

    async def readdress(self, *, old: str, new: str) -> None:
        """Give the house another address, as after a new lease."""
        await self.host.script(
            f"ip addr del {old}/24 dev up0",  # its routes go with it
            f"ip addr add {new}/24 dev up0",
            f"ip route replace default via {GATEWAY}",
        )

    async def rebind(self) -> None:
        """Let the router forget its connections: packets come to servers from new ports."""
        await self.isp.script(
            "nft flush chain inet lab nat",
            "nft add rule inet lab nat oifname core ip protocol udp masquerade to :40000-50000",
            "nft add rule inet lab nat oifname core masquerade",
        )
        await self.isp.run("python3", "-c", _FLUSH_CONNECTIONS)

    async def narrow_path(self, mtu: int) -> None:
        """Let no larger packet through to the house, and tell nobody."""
        await self.isp.script(
            "nft flush chain inet lab large",
            f"nft add rule inet lab large ip length > {mtu} drop",
        )

    async def widen_path(self) -> None:
        await self.isp.script("nft flush chain inet lab large")

    # --- what is behind a server ---

    async def close_exit(self, server: str) -> None:
        """A server that answers, and leads nowhere."""
        await self.servers[server].script("nft add rule inet lab exit drop")

    async def open_exit(self, server: str) -> None:
        await self.servers[server].script("nft flush chain inet lab exit")

    async def silence_names(self, server: str) -> None:
        """The provider's resolver is dead."""
        for protocol in ("udp", "tcp"):
            await self.servers[server].script(
                f"nft add rule inet lab local ip daddr 10.2.0.1 {protocol} dport 53 drop"
            )

    async def restore_names(self, server: str) -> None:
        await self.servers[server].script("nft flush chain inet lab local")

    async def reset(self) -> None:
        """Put every switch back."""
        for server in SERVERS:
            await self.restore(server)
            await self.open_exit(server)
            await self.restore_names(server)
        await self.widen_path()
        await self.plug()
        await self.mend()
        for space, name in ((self.isp, UPLINK), (self.host, "up0")):
            if "tbf" in await space.run("tc", "qdisc", "show", "dev", name):
                try:
                    await space.script(f"tc qdisc del dev {name} root")
                except CommandError:  # it went in the meantime
                    continue


_ROUTER_RULES = """
table inet lab {
    chain s1 { }
    chain s2 { }
    chain s3 { }
    chain large { }
    chain forward {
        type filter hook forward priority -10; policy accept;
        jump s1
        jump s2
        jump s3
        jump large
    }
    chain nat {
        type nat hook postrouting priority 100; policy accept;
        meta nfproto ipv4 oifname "core" masquerade
    }
}
"""

_SERVER_RULES = """
table inet lab {
    chain exit { }
    chain local { }
    chain input { type filter hook input priority -10; policy accept; jump local; }
    chain forward { type filter hook forward priority -10; policy accept; jump exit; }
    chain nat {
        type nat hook postrouting priority 100; policy accept;
        oifname "up0" masquerade
    }
}
"""

# struct nlmsghdr and nfgenmsg: IPCTNL_MSG_CT_DELETE without a filter forgets everything.
_CT_DELETE = struct.pack("=IHHII", 20, (1 << 8) | 2, 5, 1, 0) + bytes(4)
_FLUSH_CONNECTIONS = (
    "import socket\n"
    "s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)\n"
    f"s.send({_CT_DELETE!r}); s.recv(4096)\n"
)
