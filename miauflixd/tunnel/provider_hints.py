"""Whose file it is, and where its server stands: guessed from names, addresses and comments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN = "wireguard"
"""The provider of a file that nothing tells about."""

_DOMAINS = {
    "airdns.org": "airvpn",
    "azirevpn.net": "azirevpn",
    "cloudflareclient.com": "cloudflare",
    "hideservers.net": "hideme",
    "ivpn.net": "ivpn",
    "mullvad.net": "mullvad",
    "myfritz.net": "fritzbox",
    "nordvpn.com": "nordvpn",
    "ovpn.com": "ovpn",
    "privacy.network": "pia",
    "protonvpn.net": "proton",
    "surfshark.com": "surfshark",
    "torguard.com": "torguard",
    "whiskergalaxy.com": "windscribe",
}

_RESOLVERS = {
    "10.2.0.1": "proton",
    "10.64.0.1": "mullvad",
    "10.128.0.1": "airvpn",
    "10.255.255.1": "windscribe",
    "103.86.96.100": "nordvpn",
    "162.252.172.57": "surfshark",
    "10.0.0.243": "pia",
}
"""Addresses that a provider gives to its own resolver."""

_GATEWAYS = {"airvpn": "10.128.0.1", "mullvad": "10.64.0.1", "proton": "10.2.0.1"}
"""Where a provider's server is known to answer inside the tunnel."""

_COUNTRY_IN_HOST = {
    "airvpn": re.compile(r"([a-z]{2})[0-9]*\."),
    "ivpn": re.compile(r"([a-z]{2})(?:-[a-z]+)?[0-9]*\."),
    "mullvad": re.compile(r"([a-z]{2})-"),
    "nordvpn": re.compile(r"(?:[a-z]{2}-)?([a-z]{2})[0-9]+\."),
    "proton": re.compile(r"(?:node-)?([a-z]{2})-"),
    "surfshark": re.compile(r"([a-z]{2})-"),
}
"""The last of several countries is where one comes out."""

_MULLVAD_FILE = re.compile(
    r"(?:mullvad[-_])?([a-z]{2})-[a-z]{3}-wg(?:-[a-z]+)?-[0-9]+", re.IGNORECASE
)
_PROTON_SERVER = re.compile(r"(?:[A-Z]{2}-)?([A-Z]{2})(?:-[A-Z]{2,6})?#[0-9]+(?:-[A-Z]+)?")
_SETTING = re.compile(r"([A-Za-z][A-Za-z() -]{2,40}?) *[=:] *([A-Za-z0-9]{1,4})")
_PROTON_SETTINGS = {"bouncing", "moderate nat", "nat-pmp (port forwarding)", "netshield"}
_FORWARDING = "nat-pmp (port forwarding)"
_NOTHING = re.compile(r"(?!)")
_OFF = {"off", "0", "no", "none"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hints:
    """What a file seems to say beyond its keys."""

    provider: str = UNKNOWN
    name: str
    country: str | None = None
    """Two letters, `SE`."""
    gateway: str | None = None
    port_forwarding: bool = False
    remarks: tuple[str, ...] = ()
    """For people: `Moderate NAT`."""


def guess(*, file: str, host: str, dns: Sequence[str], comments: Sequence[str]) -> Hints:
    """Return what can be told about a file's server; a wrong guess misleads nobody but people."""
    stem = file.removesuffix(".conf").removesuffix(".CONF") or file
    settings = _settings(comments)
    proton = next(filter(None, map(_PROTON_SERVER.fullmatch, comments)), None)
    provider = _provider(host, dns, stem, settings)
    told = (
        proton if provider == "proton" else None,
        _MULLVAD_FILE.fullmatch(stem),
        _COUNTRY_IN_HOST.get(provider, _NOTHING).match(host),
    )
    country = next((match[1] for match in told if match), None)
    return Hints(
        provider=provider,
        name=proton[0] if provider == "proton" and proton else stem,
        country=_code(country),
        gateway=_GATEWAYS.get(provider),
        port_forwarding=provider == "proton" and settings.get(_FORWARDING, "off") not in _OFF,
        remarks=_remarks(settings) if provider == "proton" else (),
    )


def _settings(comments: Sequence[str]) -> dict[str, str]:
    matches = (_SETTING.fullmatch(comment) for comment in comments)
    return {match[1].strip().lower(): match[2].lower() for match in matches if match}


def _provider(host: str, dns: Sequence[str], stem: str, settings: dict[str, str]) -> str:
    for domain, provider in _DOMAINS.items():
        if host == domain or host.endswith(f".{domain}"):
            return provider
    if settings.keys() & _PROTON_SETTINGS:
        return "proton"
    if _MULLVAD_FILE.fullmatch(stem):
        return "mullvad"
    return next((_RESOLVERS[address] for address in dns if address in _RESOLVERS), UNKNOWN)


def _remarks(settings: dict[str, str]) -> tuple[str, ...]:
    names = {"moderate nat": "Moderate NAT", "netshield": "NetShield"}
    return tuple(said for key, said in names.items() if settings.get(key, "off") not in _OFF)


def _code(country: str | None) -> str | None:
    if country is None:
        return None
    return {"UK": "GB"}.get(country.upper(), country.upper())
