"""NordVPN, by an access token from its web page.

The token leads to the account's WireGuard key, which is the same for all servers; so is our address
in the tunnel. Neither token nor key is ever in a message or a log.
"""

import re
from urllib.parse import urlencode

import msgspec
from msgspec import Struct, field

from miauflixd.errors import InvalidInputError
from miauflixd.runtime.http import Http
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.model import Credentials, EndpointSpec
from miauflixd.tunnel.providers.api import Api
from miauflixd.tunnel.providers.places import matching_city, matching_country, shown
from miauflixd.tunnel.providers.provider import (
    City,
    Country,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from miauflixd.tunnel.server_address import parse_address, why_not
from miauflixd.tunnel.wireguard_conf import is_key

OFFICIAL = "https://api.nordvpn.com"

_TOKEN = re.compile(r"[0-9A-Za-z._~+/=-]{16,512}")
"""What may stand in a header; today it is 64 hexadecimal digits."""

_PORT = 51820
_ADDRESS = "10.5.0.2/32"
_DNS = ("103.86.96.100", "103.86.99.100")
_WIREGUARD = "wireguard_udp"
_WIREGUARD_ID = 35
_P2P = "15"
_ONLINE = "online"
_LIMIT = 100
"""Servers asked for at most."""

_REFUSED = (
    "NordVPN does not accept the access token any more. Make a new one on my.nordaccount.com under "
    "NordVPN, Manual setup, and paste it here"
)


class _Credentials(Struct):
    username: str
    nordlynx_private_key: str | None = None


class _City(Struct):
    id: int
    name: str


class _Country(Struct):
    id: int
    name: str
    code: str
    cities: list[_City] | None = None


class _Place(Struct):
    name: str
    code: str
    city: _City | None = None


class _Location(Struct):
    country: _Place


class _Fact(Struct):
    name: str
    value: str | None = None


class _Pivot(Struct):
    status: str = _ONLINE


class _Technology(Struct):
    id: int = 0
    identifier: str = ""
    pivot: _Pivot = field(default_factory=_Pivot)
    metadata: list[_Fact] = field(default_factory=list)


class _Server(Struct):
    name: str
    station: str
    status: str
    hostname: str = ""
    locations: list[_Location] = field(default_factory=list)
    technologies: list[_Technology] = field(default_factory=list)

    @property
    def public_key(self) -> str:
        """The server's key for WireGuard, if it speaks that now."""
        for technology in self.technologies:
            if technology.id == _WIREGUARD_ID or technology.identifier == _WIREGUARD:
                if technology.pivot.status != _ONLINE:
                    return ""
                facts = {fact.name: fact.value for fact in technology.metadata}
                return facts.get("public_key") or ""
        return ""

    def is_sound(self, *, lan_ok: bool) -> bool:
        """Return whether one can connect to it."""
        address = parse_address(self.station)
        return (
            self.status == _ONLINE
            and address is not None
            and why_not(address, lan_ok=lan_ok) is None
            and is_key(self.public_key)
        )


class NordVpn:
    """NordVPN's API."""

    def __init__(self, *, http: Http, base: str = OFFICIAL, p2p: bool = True) -> None:
        self._api = Api(http=http, company="NordVPN", base=base, official=OFFICIAL)
        self._p2p = p2p

    async def identify(self, credentials: Credentials) -> Credentials:
        """Return the account's key, or check the form of one that came without an account."""
        token = credentials.token
        if token is None and credentials.private_key is not None:
            key = _checked(credentials.private_key)
            return Credentials(private_key=key, addresses=(_ADDRESS,))
        if token is None or not _TOKEN.fullmatch(token.reveal()):
            raise InvalidInputError(
                "This is no access token of NordVPN: one has 64 digits and letters from a to f"
            )
        response = await self._api.ask(
            "GET",
            "/v1/users/services/credentials",
            headers={"Authorization": f"Bearer token:{token.reveal()}"},
            refused=_REFUSED,
        )
        text = self._api.decode(response, _Credentials).nordlynx_private_key
        if not text:
            raise ProviderRefusedError(
                "NordVPN has no WireGuard key for this account: is its subscription still running?"
            )
        if not is_key(text):
            raise ProviderUnavailableError("NordVPN answered with a key that is none")
        return Credentials(token=token, private_key=Secret(text), addresses=(_ADDRESS,))

    async def servers(
        self,
        credentials: Credentials,
        *,
        country: str | None = None,
        city: str | None = None,
        limit: int = 20,
    ) -> tuple[EndpointSpec, ...]:
        """Return those that NordVPN recommends, best first."""
        assert credentials.private_key is not None, "identify() comes first"  # noqa: S101 - ours
        place = await self._place(country, city)
        found = await self._recommended(place, limit, p2p=self._p2p)
        if not found and self._p2p:
            # A country may have none for peer-to-peer; any other passes it on to one that is.
            found = await self._recommended(place, limit, p2p=False)
        if not found:
            raise ProviderUnavailableError("NordVPN recommends no server now that can be used")
        return tuple(_spec(server, credentials.private_key) for server in found)

    async def countries(self) -> tuple[Country, ...]:
        """Return where NordVPN has servers."""
        response = await self._api.ask("GET", "/v1/servers/countries")
        raws = self._api.decode(response, list[msgspec.Raw])
        found = self._api.each(raws, _Country, sound=lambda one: len(one.code) == len("SE"))
        return tuple(
            Country(
                id=str(one.id),
                code=one.code.upper(),
                name=shown(one.name),
                cities=tuple(
                    City(id=str(city.id), name=shown(city.name)) for city in one.cities or ()
                ),
            )
            for one in sorted(found, key=lambda one: one.name)
        )

    async def _place(self, country: str | None, city: str | None) -> dict[str, str]:
        """Return the filters for a place."""
        if country is None:
            return {}
        found = matching_country(await self.countries(), country, company="NordVPN")
        place = {"filters[country_id]": found.id}
        if city is not None:
            place["filters[country_city_id]"] = matching_city(found, city, company="NordVPN").id
        return place

    async def _recommended(self, place: dict[str, str], limit: int, *, p2p: bool) -> list[_Server]:
        query = {
            "limit": str(min(limit, _LIMIT)),
            "filters[servers_technologies][identifier]": _WIREGUARD,
            "filters[servers_technologies][pivot][status]": _ONLINE,
            "filters[servers.status]": _ONLINE,
            **place,
        }
        if p2p:
            query["filters[servers_groups]"] = _P2P
        response = await self._api.ask("GET", f"/v1/servers/recommendations?{urlencode(query)}")
        raws = self._api.decode(response, list[msgspec.Raw])
        lan_ok = self._api.lan_ok
        found = self._api.each(raws, _Server, sound=lambda one: one.is_sound(lan_ok=lan_ok))
        return found[:limit]


def _checked(private_key: Secret) -> Secret:
    if not is_key(private_key.reveal()):
        raise InvalidInputError("This is no WireGuard key: one has 44 characters of base64")
    return private_key


def _spec(server: _Server, private_key: Secret) -> EndpointSpec:
    place = server.locations[0].country if server.locations else None
    return EndpointSpec(
        name=shown(server.name),
        provider="nordvpn",
        country=place.code.upper() if place and len(place.code) == len("SE") else None,
        city=shown(place.city.name) if place and place.city else None,
        host=server.station,
        port=_PORT,
        public_key=server.public_key,
        private_key=private_key,
        addresses=(_ADDRESS,),
        dns=_DNS,
    )
