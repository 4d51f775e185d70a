"""How often somebody may guess a password. No I/O.

Every attempt counts as a failure until it turns out otherwise, so that a hundred at once are no
hundred guesses. It counts in two tiers, and is refused while either of them is closed:

- **the address** (of IPv6 the /64, which is what one household gets): many guesses at anybody;
- **the account**: many guesses at one, from anywhere. Who comes from *near* (the local network) or
  from a *familiar* address (this account has signed in from there) is not counted with the crowd,
  but for that address alone.

So whoever guesses from elsewhere, with however many addresses, can close an account only to places
from which nobody ever signed in to it, for five minutes at a time. At home, and wherever else
somebody has been, they get in as ever; devices that are signed in do not come by here at all.

Beyond a few free attempts each failure closes the tier for twice as long as the one before.
Attempts while it is closed count for nothing. Failures are forgotten with time, one by one.

An account is whatever was typed as an e-mail address, whether or not there is such a user: being
locked out tells nothing.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """How patient one tier is."""

    free: int
    """Failures that cost nothing."""
    longest: timedelta
    """For how long one failure closes it at most, and after how long one is forgotten.

    The same, so that who goes on guessing stays at the longest: would failures be forgotten sooner,
    waiting for it would shorten the next closing; later, and a tired typist would pay for it.
    """


_FIRST = 1.0
"""Seconds of the first closing."""

ADDRESS = Tier(free=10, longest=timedelta(minutes=15))
"""A household behind one address may mistype ten times. Who guesses has some 120 tries on the first
day, and 96 on each that follows."""

FAMILIAR = Tier(free=5, longest=timedelta(minutes=15))
"""One account from one address of its own."""

CROWD = Tier(free=20, longest=timedelta(minutes=5))
"""One account from everywhere else. All the addresses of the world together have 288 tries a day:
a thousand years for one in a hundred million. Nobody is shut out for longer than five minutes."""

_PLACES = 10_000
"""Counters of each tier, and familiar addresses, to remember: 11 MB when all are taken."""

_NEAR = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)
"""Local networks. Not `is_private` of Python, which is also true of what belongs to nobody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An attempt that must not be made."""

    retry_after: float
    """Seconds from now."""
    is_first: bool
    """Nothing else was refused since this tier closed."""


@dataclass(slots=True)
class _Count:
    failures: float = 0.0
    since: float = 0.0
    closed_until: float = -math.inf
    told: bool = False


class _Counters:
    """Counts failures for each key, and forgets the keys that were longest not used."""

    def __init__(self, tier: Tier, places: int) -> None:
        self._tier = tier
        self._places = places
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()

    def count(self, key: Hashable) -> _Count:
        return self._counts.get(key) or _Count()

    def charge(self, key: Hashable, now: float) -> None:
        count = self._counts.setdefault(key, _Count(since=now))
        self._counts.move_to_end(key)
        if len(self._counts) > self._places:
            self._counts.popitem(last=False)
        longest = self._tier.longest.total_seconds()
        forgotten = (now - count.since) / longest
        # More than what gives the longest closing would only take longer to forget.
        most = self._tier.free + 1 + math.ceil(math.log2(longest / _FIRST))
        count.failures = min(max(count.failures - forgotten, 0.0) + 1, most)
        count.since = now
        count.told = False
        if count.failures > self._tier.free:
            beyond = count.failures - self._tier.free - 1
            count.closed_until = now + min(_FIRST * 2**beyond, longest)

    def refund(self, key: Hashable) -> None:
        if (count := self._counts.get(key)) is not None:
            count.failures = max(count.failures - 1, 0.0)
            count.closed_until = -math.inf

    def forget(self, key: Hashable) -> None:
        self._counts.pop(key, None)


class Lockout:
    """Remembers who failed, from where."""

    def __init__(self, *, clock: Callable[[], float], places: int = _PLACES) -> None:
        """Begin with a clean slate.

        Args:
            clock: seconds that never go back.
            places: of each kind to remember at most.
        """
        self._clock = clock
        self._places = places
        self._addresses = _Counters(ADDRESS, places)
        self._familiar = _Counters(FAMILIAR, places)
        self._crowd = _Counters(CROWD, places)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def attempt(self, *, account: str | None, address: str) -> Refusal | None:
        """Count an attempt, or say why it must not be made.

        An attempt that is made ends in `succeeded`, in `withdrawn`, or was a failure.
        """
        now = self._clock()
        tiers = self._tiers(account, address)
        counts = [counters.count(key) for counters, key in tiers]
        wait = max(count.closed_until for count in counts) - now
        if wait > 0:
            closed = [count for count in counts if count.closed_until > now]
            is_first = not any(count.told for count in closed)
            for count in closed:
                count.told = True
            return Refusal(retry_after=wait, is_first=is_first)
        for counters, key in tiers:
            counters.charge(key, now)
        return None

    def succeeded(self, *, account: str, address: str) -> None:
        """Take back an attempt that was none: its password was right.

        What others failed at from elsewhere stays counted, and so does what this address failed at
        with other accounts: an account of one's own must not make guessing at others free.
        """
        self.withdrawn(account=account, address=address)
        place = (account, network_of(address))
        self._familiar.forget(place)
        self._known[place] = None
        self._known.move_to_end(place)
        if len(self._known) > self._places:
            self._known.popitem(last=False)

    def withdrawn(self, *, account: str | None, address: str) -> None:
        """Take back an attempt that was not made after all."""
        for counters, key in self._tiers(account, address):
            counters.refund(key)

    def _tiers(self, account: str | None, address: str) -> list[tuple[_Counters, Hashable]]:
        network = network_of(address)
        tiers: list[tuple[_Counters, Hashable]] = [(self._addresses, network)]
        if account is not None:
            place = (account, network)
            if is_near(address) or place in self._known:
                tiers.append((self._familiar, place))
            else:
                tiers.append((self._crowd, account))
        return tiers


def network_of(address: str) -> str:
    """Return what one household has of an address: the whole of IPv4's, the /64 of IPv6's."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))
    return "unknown" if parsed is None else str(parsed)


def plain(address: str) -> str:
    """Return an address as it is written in a log: nothing that was sent gets there unread."""
    parsed = _parsed(address)
    return "unknown" if parsed is None else str(parsed)


def is_near(address: str) -> bool:
    """Return whether an address is one of a local network."""
    parsed = _parsed(address)
    return parsed is None or any(parsed in network for network in _NEAR)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    # `::ffff:192.0.2.1` is how a socket for both writes an IPv4 address.
    return getattr(parsed, "ipv4_mapped", None) or parsed
