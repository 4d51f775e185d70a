"""Countries and cities, as people write them and as providers do."""

import unicodedata
from collections.abc import Iterable

from miauflixd.tunnel.providers.provider import City, Country, NoServerError

_NAME_LIMIT = 64
_SHOWN = 12


def matching_country(countries: Iterable[Country], code: str, *, company: str) -> Country:
    """Return the country of two letters.

    Raises:
        NoServerError: the provider has nothing there; the message names some that it has.
    """
    wanted = {"UK": "GB"}.get(code.upper(), code.upper())
    known = list(countries)
    for country in known:
        if country.code == wanted:
            return country
    raise NoServerError(
        f"{company} has no servers in {shown(wanted)}. It has in: "
        + _some(country.code for country in known)
    )


def matching_city(country: Country, name: str, *, company: str) -> City:
    """Return the city of a name, however its accents and capitals are written.

    Raises:
        NoServerError: the provider has nothing there; the message names some that it has.
    """
    for city in country.cities:
        if _folded(city.name) == _folded(name) or city.id == name.lower():
            return city
    raise NoServerError(
        f"{company} has no servers in {shown(name)}, {country.name}. It has in: "
        + (_some(city.name for city in country.cities) or "no city that it names")
    )


def shown(name: str) -> str:
    """Return a name that came from outside, fit to be shown."""
    kept = "".join(char for char in name if char.isprintable())
    return " ".join(kept.split())[:_NAME_LIMIT]


def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in plain if char.isalnum())


def _some(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:_SHOWN]) + (" and others" if len(known) > _SHOWN else "")
