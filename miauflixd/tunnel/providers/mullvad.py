"""Mullvad, by the number of an account, or by a key that Mullvad knows already.

Our address in the tunnel belongs to the key and is the same at all relays.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

import msgspec
from msgspec import Struct, field

from miauflixd.errors import InvalidInputError
from miauflixd.runtime.http import Http
from miauflixd.runtime.http_headers import header
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.model import Credentials, EndpointSpec
from miauflixd.tunnel.providers.api import Api, RequestRefusedError
from miauflixd.tunnel.providers.places import matching_city, matching_country, shown
from miauflixd.tunnel.providers.provider import (
    City,
    Country,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from miauflixd.tunnel.server_address import parse_address, why_not
from miauflixd.tunnel.wireguard_conf import is_key
from miauflixd.vault.wireguard_keys import new_private_key, public_key

OFFICIAL = "https://api.mullvad.net"

_ACCOUNT = re.compile(r"[0-9]{16}")
_PORT = 51820
_PORT_MAX = 65535
_GATEWAY = "10.64.0.1"
_DEVICES = "/accounts/v1/devices"
_ME = "/accounts/v1/accounts/me"
_NOT_MODIFIED = 304
_HOSTNAME = re.compile(r"[a-z0-9-]{1,63}")
_CODE = re.compile(r"([a-z]{2})-([a-z]{3})")

_REFUSED = "Mullvad knows no account of this number, or its time has run out"
_ACCOUNT_PROBLEMS = {"INVALID_ACCOUNT", "ACCOUNT_NOT_FOUND", "INVALID_ACCESS_TOKEN"}
_DEVICE_PROBLEMS = {"MAX_DEVICES_REACHED", "KEY_LIMIT_REACHED"}
_NO_DEVICE = (
    "This Mullvad account has as many devices as it may have. Take one off on mullvad.net under "
    "Account, Devices"
)


class _Token(Struct):
    access_token: str


class _Account(Struct):
    can_add_devices: bool = True


class _Device(Struct):
    pubkey: str
    ipv4_address: str
    ipv6_address: str | None = None


class _Location(Struct):
    city: str
    country: str


class _Relay(Struct):
    hostname: str
    location: str
    ipv4_addr_in: str
    public_key: str
    active: bool = True
    include_in_country: bool = True
    weight: float = 100

    def is_sound(self, *, lan_ok: bool) -> bool:
        """Return whether one can connect to it."""
        address = parse_address(self.ipv4_addr_in)
        return (
            self.active
            and _HOSTNAME.fullmatch(self.hostname) is not None
            and address is not None
            and why_not(address, lan_ok=lan_ok) is None
            and is_key(self.public_key)
        )


class _WireGuard(Struct):
    relays: list[msgspec.Raw]
    port_ranges: list[tuple[int, int]] = field(default_factory=list)
    ipv4_gateway: str = _GATEWAY

    @property
    def gateway(self) -> str:
        """The address of every relay inside the tunnel."""
        address = parse_address(self.ipv4_gateway)
        return _GATEWAY if address is None else str(address)

    @property
    def port(self) -> int:
        """The port to use: the usual one, if it is open."""
        if not self.port_ranges or any(low <= _PORT <= high for low, high in self.port_ranges):
            return _PORT
        low = self.port_ranges[0][0]
        return low if 0 < low <= _PORT_MAX else _PORT


class _List(Struct):
    locations: dict[str, msgspec.Raw]
    wireguard: _WireGuard


class _Relays:
    """The relays as of one answer."""

    def __init__(self, *, etag: str | None, api: Api, answer: _List) -> None:
        self.etag = etag
        self.port = answer.wireguard.port
        self.gateway = answer.wireguard.gateway
        self.places: dict[str, _Location] = {}
        for code, raw in answer.locations.items():
            if _CODE.fullmatch(code):
                for place in api.each([raw], _Location, sound=lambda one: bool(one.city)):
                    self.places[code] = place
        self.relays = [
            relay
            for relay in api.each(
                answer.wireguard.relays, _Relay, sound=lambda one: one.is_sound(lan_ok=api.lan_ok)
            )
            if relay.location in self.places
        ]

    def countries(self) -> tuple[Country, ...]:
        """Return where there is at least one relay."""
        cities: dict[tuple[str, str], list[City]] = {}
        for code in sorted({relay.location for relay in self.relays}):
            place = self.places[code]
            country, city = code.split("-")
            key = (shown(place.country), country)
            cities.setdefault(key, []).append(City(id=city, name=shown(place.city)))
        return tuple(
            Country(id=code, code=code.upper(), name=name, cities=tuple(found))
            for (name, code), found in sorted(cities.items())
        )


class Mullvad:
    """Mullvad's API."""

    def __init__(
        self,
        *,
        http: Http,
        base: str = OFFICIAL,
        new_key: Callable[[], str] = new_private_key,
    ) -> None:
        self._api = Api(http=http, company="Mullvad", base=base, official=OFFICIAL)
        self._new_key = new_key
        self._known: _Relays | None = None

    async def identify(self, credentials: Credentials) -> Credentials:
        """Return the key with its addresses, registered with the account if need be."""
        if credentials.private_key is not None and not is_key(credentials.private_key.reveal()):
            raise InvalidInputError("This is no WireGuard key: one has 44 characters of base64")
        if credentials.token is None and credentials.private_key and credentials.addresses:
            addresses = tuple(map(_own_address, credentials.addresses))
            if None in addresses:
                raise InvalidInputError(
                    "This is no address in the tunnel, which looks like 10.64.0.2/32"
                )
            return replace(credentials, addresses=tuple(filter(None, addresses)))
        number = "" if credentials.token is None else "".join(credentials.token.reveal().split())
        if not _ACCOUNT.fullmatch(number):
            raise InvalidInputError(
                "The number of a Mullvad account has 16 digits; without it, a key is needed and "
                "the address that belongs to it"
            )
        private_key = credentials.private_key or Secret(self._new_key())
        try:
            device = await self._device(number, public_key(private_key.reveal()))
        except RequestRefusedError as error:
            if error.problem in _ACCOUNT_PROBLEMS:
                raise ProviderRefusedError(_REFUSED) from error
            if error.problem in _DEVICE_PROBLEMS:
                raise ProviderRefusedError(_NO_DEVICE) from error
            raise
        v4 = _own_address(device.ipv4_address)
        v6 = _own_address(device.ipv6_address) if device.ipv6_address else None
        if v4 is None:
            raise ProviderUnavailableError("Mullvad answered with an address that is none")
        return Credentials(
            token=Secret(number),
            private_key=private_key,
            addresses=(v4, *([v6] if v6 else [])),
        )

    async def servers(
        self,
        credentials: Credentials,
        *,
        country: str | None = None,
        city: str | None = None,
        limit: int = 20,
    ) -> tuple[EndpointSpec, ...]:
        """Return some relays, drawn by lot: the same ones each time for the same key."""
        private_key = credentials.private_key
        assert private_key is not None, "identify() comes first"  # noqa: S101 - ours
        known = await self._relays()
        relays = known.relays
        if country is not None:
            found = matching_country(known.countries(), country, company="Mullvad")
            prefix = f"{found.id}-"
            if city is not None:
                prefix += matching_city(found, city, company="Mullvad").id
            relays = [relay for relay in relays if relay.location.startswith(prefix)]
        return tuple(
            EndpointSpec(
                name=f"{shown(known.places[relay.location].city)}, {relay.hostname}",
                provider="mullvad",
                country=relay.location[:2].upper(),
                city=shown(known.places[relay.location].city),
                host=relay.ipv4_addr_in,
                port=known.port,
                public_key=relay.public_key,
                private_key=private_key,
                addresses=credentials.addresses,
                dns=(known.gateway,),
                gateway=known.gateway,
            )
            for relay in _drawn(relays, private_key, within_city=city is not None)[:limit]
        )

    async def countries(self) -> tuple[Country, ...]:
        """Return where Mullvad has relays."""
        return (await self._relays()).countries()

    async def _relays(self) -> _Relays:
        """Return the list of relays, which is sent again only when it has changed.

        Raises:
            ProviderUnavailableError: there is none.
        """
        known = self._known
        headers = {"If-None-Match": known.etag} if known and known.etag else {}
        response = await self._api.ask("GET", "/app/v1/relays", headers=headers)
        if response.status == _NOT_MODIFIED:
            if known is None:
                raise ProviderUnavailableError("Mullvad says that nothing changed, since nothing")
            return known
        answer = self._api.decode(response, _List)
        fresh = _Relays(etag=header(response.headers, "ETag"), api=self._api, answer=answer)
        if not fresh.relays:
            raise ProviderUnavailableError("Mullvad names no relay now that can be used")
        self._known = fresh
        return fresh

    async def _device(self, number: str, key: str) -> _Device:
        """Return our device of this account, which is added if it is not there."""
        response = await self._api.ask(
            "POST", "/auth/v1/token", json={"account_number": number}, refused=_REFUSED
        )
        token = self._api.decode(response, _Token).access_token
        if not token.isascii() or not token.isprintable():
            raise ProviderUnavailableError("Mullvad answered with a token that is none")
        headers = {"Authorization": f"Bearer {token}"}
        listed = await self._api.ask("GET", _DEVICES, headers=headers, refused=_REFUSED)
        raws = self._api.decode(listed, list[msgspec.Raw])
        for device in self._api.each(raws, _Device, sound=lambda one: one.pubkey == key):
            return device
        account = await self._api.ask("GET", _ME, headers=headers, refused=_REFUSED)
        if not self._api.decode(account, _Account).can_add_devices:
            raise ProviderRefusedError(_NO_DEVICE)
        added = await self._api.ask(
            "POST", _DEVICES, headers=headers, json={"pubkey": key}, refused=_REFUSED
        )
        return self._api.decode(added, _Device)


def _own_address(text: str) -> str | None:
    """Return an address of ours with its length, or nothing if it is none."""
    host, slash, length = text.partition("/")
    address = parse_address(host)
    if address is None or why_not(address, lan_ok=True) or address.is_loopback:
        return None
    # A single address, whatever is said of its network: the tunnel has no neighbours.
    if slash and not (length.isascii() and length.isdecimal()):
        return None
    return f"{address}/{address.max_prefixlen}"


def _drawn(relays: list[_Relay], key: Secret, *, within_city: bool) -> list[_Relay]:
    """Return relays in an order in which heavier ones tend to be early.

    Mullvad spreads its customers by these weights; those that it does not want in a whole country
    are taken only where somebody asks for their city. Each house draws its own lots, and always the
    same ones: a ladder that changes at every refresh would make the tunnel wander.
    """
    wanted = [relay for relay in relays if relay.include_in_country or within_city] or relays

    def lot(relay: _Relay) -> float:
        seed = hashlib.sha256(f"{key.reveal()} {relay.hostname}".encode()).digest()
        number = int.from_bytes(seed[:6], "big") / 2**48
        # To the power of 1/weight: the order in which a lottery with so many tickets for each
        # would draw them (Efraimidis and Spirakis, 2006).
        return float(number ** (1 / min(max(relay.weight, 1e-3), 1e6)))

    return sorted(wanted, key=lot, reverse=True)
