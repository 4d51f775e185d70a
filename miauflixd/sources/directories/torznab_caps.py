"""What a Torznab server says it can do, and how a query is put to it. No I/O."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from miauflixd.sources import said
from miauflixd.sources.directories.directory import EVERYTHING, Capabilities
from miauflixd.sources.directories.feed_xml import NotXmlError, tree
from miauflixd.sources.offers import Query

CAPS_LIMIT = 2**20
"""Bytes. Jackett's `all`, with every category of every tracker, has some 100 KiB."""

PAGE = 100
"""Releases asked for at once, and in all: the best are among them, and further pages are slow."""

_MOVIE, _TV, _ADULT = 2000, 5000, 6000
"""Where the standard categories begin; subcategories follow within the thousand."""

_THOUSAND = 1000

_MOVIE_NAME = re.compile(r"\b(movies?|films?|filme|cinema|cine|pel[ií]culas?|кино|фильмы)\b")
_TV_NAME = re.compile(r"\b(tv|television|series|shows?|serien|anime|сериалы)\b")
_ADULT_NAME = re.compile(r"\b(xxx|adult|porn\w*|hentai|18\+)(\b|$)")

_MODES = {"search": "search", "tv-search": "tvsearch", "movie-search": "movie"}
"""Elements of caps, and what the function behind each is called in a request."""

_TITLES = 2
"""Titles by which something is looked for if ids find nothing; each costs a turn."""

Parameters = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """What one server can do."""

    functions: Mapping[str, frozenset[str]]
    """Parameters by function: `movie`, `tvsearch`, `search`."""
    limit: int | None
    """Releases that can be asked for at once; `None`: it does not say, so nothing is asked."""
    movies: tuple[int, ...]
    """Categories to look in for movies; empty: it names none."""
    shows: tuple[int, ...]
    adult: frozenset[int]
    """Categories that nobody asked for."""

    def to_capabilities(self) -> Capabilities:
        """Return the same in everybody's terms."""
        parameters: set[str] = set().union(*self.functions.values())
        return Capabilities(
            kinds=EVERYTHING,
            ids=frozenset(name for name in ("imdb", "tmdb", "tvdb") if f"{name}id" in parameters),
        )


def read_caps(body: bytes) -> Caps:
    """Return what a server says of itself.

    Raises:
        NotXmlError: it says nothing that could be understood.
    """
    root = tree(body)
    if root.tag.lower() != "caps":
        raise NotXmlError(root.tag[:40])
    limits = root.find("limits")
    movies, shows, adult = _categories(root)
    return Caps(
        functions=dict(_functions(root)),
        limit=None
        if limits is None
        else said.number(limits.get("max") or limits.get("default"), most=10_000, least=1),
        movies=movies,
        shows=shows,
        adult=adult,
    )


def _functions(root: Element) -> Iterator[tuple[str, frozenset[str]]]:
    found = False
    for name, function in _MODES.items():
        element = root.find(f"searching/{name}")
        if element is None or element.get("available", "").lower() != "yes":
            continue
        found = True
        supported = element.get("supportedParams")
        # Who says nothing can be asked for words, and who knows what else.
        yield function, frozenset((supported or "q").lower().replace(" ", "").split(","))
    if not found:
        yield "search", frozenset({"q"})


def _categories(root: Element) -> tuple[tuple[int, ...], tuple[int, ...], frozenset[int]]:
    """Sort categories by what they are called; only where that says nothing, by number.

    Numbers are not the same everywhere: there are servers whose 8000 are books, and whose own
    categories beyond 100000 hold anything.
    """
    movies: list[int] = []
    shows: list[int] = []
    adult: set[int] = set()
    for category in root.iterfind("categories/category"):
        kind = _sorted_in(category, movies, shows, adult)
        for sub in category.iterfind("subcat"):
            number = said.number(sub.get("id"), most=10**7)
            if number is None:
                continue
            if kind is adult:
                adult.add(number)
            elif kind is None:
                _sorted_in(sub, movies, shows, adult)
            elif _ADULT_NAME.search(sub.get("name", "").lower()):
                adult.add(number)
    return tuple(movies), tuple(shows), frozenset(adult)


def _sorted_in(
    element: Element, movies: list[int], shows: list[int], adult: set[int]
) -> list[int] | set[int] | None:
    number = said.number(element.get("id"), most=10**7)
    if number is None:
        return None
    name = element.get("name", "").lower()[: said.MAX_NAME]
    if _ADULT_NAME.search(name) or (not name and is_adult(number)):
        adult.add(number)
        return adult
    if _MOVIE_NAME.search(name) or (not name and number // _THOUSAND * _THOUSAND == _MOVIE):
        movies.append(number)
        return movies
    if _TV_NAME.search(name) or (not name and number // _THOUSAND * _THOUSAND == _TV):
        shows.append(number)
        return shows
    return None


def is_adult(category: int) -> bool:
    """Whether a category is one of those with the standard's numbers for adults."""
    return category // _THOUSAND * _THOUSAND == _ADULT


def is_adult_name(name: str) -> bool:
    """Whether a category's name says that it is for adults."""
    return _ADULT_NAME.search(name.lower()[: said.MAX_NAME]) is not None


def requests(query: Query, caps: Caps, *, categories: Sequence[int] = ()) -> Iterator[Parameters]:
    """Yield what to ask, the most exact first; who gets something need not go on.

    Only ids that the server advertises are sent: others it would ignore, and send everything.
    Without one it is asked for words by `t=search`, since servers that look for words in other
    functions do so badly (Prowlarr found that too).
    """
    chosen = categories or (caps.movies if query.kind == "movie" else caps.shows)
    if not chosen and (caps.movies or caps.shows):
        return  # it has only the others
    common = {"extended": "1"}
    if chosen:
        common["cat"] = ",".join(map(str, chosen))
    if caps.limit is not None:
        common["limit"] = str(min(caps.limit, PAGE))
    if (exact := _exact(query, caps)) is not None:
        yield {**exact, **common}
    if "q" in caps.functions.get("search", frozenset()):
        seen: set[str] = set()
        for title in query.titles:
            if (words := _words(query, title)) and words not in seen and len(seen) < _TITLES:
                seen.add(words)
                yield {"t": "search", "q": words, **common}


def _exact(query: Query, caps: Caps) -> Parameters | None:
    function = "movie" if query.kind == "movie" else "tvsearch"
    supported = caps.functions.get(function, frozenset())
    known = {
        "imdbid": query.imdb_id,
        "tmdbid": query.tmdb_id,
        "tvdbid": query.tvdb_id,
    }
    # One is enough, and of several that contradict each other a server finds nothing. Shows are
    # known by TVDB's ids, films by IMDb's.
    order = ("imdbid", "tmdbid") if query.kind == "movie" else ("tvdbid", "imdbid", "tmdbid")
    chosen = next((name for name in order if name in supported and known[name]), None)
    if chosen is None:
        return None
    asked = {"t": function, chosen: str(known[chosen])}
    if query.kind == "movie":
        return asked
    place = _place(query)
    return {**asked, **place} if place.keys() <= supported else None


def _place(query: Query) -> Parameters:
    if query.kind == "episode" and query.daily and query.aired is not None:
        return {"season": str(query.aired.year), "ep": f"{query.aired:%m/%d}"}
    if query.season is None:
        return {}
    # To some servers 0 is as good as nothing.
    season = str(query.season) if query.season else "00"
    if query.kind == "episode" and query.episode is not None:
        return {"season": season, "ep": str(query.episode)}
    return {"season": season}


def _words(query: Query, title: str) -> str:
    found = " ".join(said.words(title))
    if not found:
        return ""
    return f"{found} {suffix(query)}".rstrip()


def suffix(query: Query) -> str:
    """Return what follows the title in the name of a release, as far as one can know."""
    if query.kind == "movie":
        return str(query.year) if query.year else ""
    if query.kind == "episode" and query.daily and query.aired is not None:
        return f"{query.aired:%Y %m %d}"
    if query.season is None:
        return ""
    if query.kind == "episode" and query.episode is not None:
        return f"S{query.season:02}E{query.episode:02}"
    return f"S{query.season:02}"
