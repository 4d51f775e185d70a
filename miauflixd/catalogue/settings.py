"""Settings of the catalogue."""

from typing import Annotated

from msgspec import Meta, Struct

from miauflixd.runtime.secrets import Secret

TMDB = "https://api.themoviedb.org/3"
TMDB_IMAGES = "https://image.tmdb.org/t/p"
TRAKT = "https://api.trakt.tv"
ARCHIVE = "https://archive.org"

Base = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?\Z",
        max_length=500,
        description="an address that begins with http:// or https://",
    ),
]
Language = Annotated[
    str,
    Meta(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?\Z", description='a language, such as "en" or "pt-BR"'),
]
RegionCode = Annotated[
    str, Meta(pattern=r"^[A-Z]{2}\Z", description='two capital letters, such as "US"')
]


class CatalogueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there is to watch, and who tells."""

    language: Language = "en"
    """What titles are asked for in, and what whoever says nothing else sees."""

    region: RegionCode = "US"
    """Whose certifications count, and whose cinemas."""

    tmdb_token: Secret | None = None
    """The "API Read Access Token" of an account with TMDB; without it TMDB is not asked."""

    trakt_client_id: Secret | None = None
    """Of an application of one's own at Trakt; without it nobody can link an account."""

    trakt_client_secret: Secret | None = None
    """Of the same application."""

    archive: bool = True
    """Ask the Internet Archive: films in the public domain, without any key."""

    archive_wider: bool = False
    """Show what the Archive's licence or year allows in its film collections, unreviewed.

    Uploads there are not always what they say. Without this only films are shown that are on the
    list which comes with this version (`providers/archive_items.json`).
    """

    artwork_quota: Annotated[int, Meta(ge=16 * 2**20)] = 2**30
    """Bytes on the disk for posters and the like; what was not seen for longest goes first."""

    tmdb_url: Base = TMDB
    """Where TMDB's API is; another one may be on a private network."""

    tmdb_image_url: Base = TMDB_IMAGES
    """Where TMDB's images are."""

    trakt_url: Base = TRAKT
    """Where Trakt's API is."""

    archive_url: Base = ARCHIVE
    """Where the Internet Archive is."""
