"""What all providers have in common, and what can go wrong with any of them."""

from typing import Protocol

from msgspec import Struct

from miauflixd.errors import InvalidInputError, NotFoundError, UnavailableError
from miauflixd.tunnel.model import Credentials, EndpointSpec


class ProviderRefusedError(InvalidInputError):
    """The provider knows the account no more, or not at all; asking again changes nothing."""

    code = "provider_refused"


class NoServerError(NotFoundError):
    """The provider has no server where one is wanted."""

    code = "no_server_there"


class ProviderUnavailableError(UnavailableError):
    """The provider did not answer, or with nothing that can be used; what it said before stands."""

    code = "provider_unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds for which it asked to be left alone, if it did."""


class City(Struct, frozen=True, kw_only=True):
    """A city in which a provider has servers."""

    id: str
    """How the provider calls it."""
    name: str


class Country(Struct, frozen=True, kw_only=True):
    """A country in which a provider has servers."""

    id: str
    """How the provider calls it."""
    code: str
    """Two letters: `SE`."""
    name: str
    cities: tuple[City, ...] = ()


class Provider(Protocol):
    """One company, asked over the host's network."""

    async def identify(self, credentials: Credentials) -> Credentials:
        """Return these credentials with the WireGuard key and addresses that belong to them.

        An account is asked about each time, for its key may have been replaced; a key that came
        without an account comes back as it is.

        Raises:
            InvalidInputError: they cannot be right.
            ProviderRefusedError: the provider does not accept them.
            ProviderUnavailableError: it does not say.
        """
        ...

    async def servers(
        self,
        credentials: Credentials,
        *,
        country: str | None = None,
        city: str | None = None,
        limit: int = 20,
    ) -> tuple[EndpointSpec, ...]:
        """Return servers, best first; at least one.

        Args:
            credentials: As `identify` returned them.
            country: Two letters; `None`: wherever the provider recommends.
            city: Its name; `None`: anywhere in the country.
            limit: How many at most.

        Raises:
            NoServerError: the provider has nothing there.
            ProviderUnavailableError: it does not say.
        """
        ...

    async def countries(self) -> tuple[Country, ...]:
        """Return where there are servers, by name.

        Raises:
            ProviderUnavailableError: the provider does not say.
        """
        ...
