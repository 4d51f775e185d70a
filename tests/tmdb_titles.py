"""Titles as TMDB would tell of them, made up: the same ones for the same numbers."""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

PAGE = 20

GENRES: dict[str, list[Any]] = {
    "movie": [
        {"id": 28, "name": "Action"},
        {"id": 35, "name": "Comedy"},
        {"id": 18, "name": "Drama"},
        {"id": 878, "name": "Science Fiction"},
        {"id": 10752, "name": "War"},
    ],
    "tv": [
        {"id": 10759, "name": "Action & Adventure"},
        {"id": 35, "name": "Comedy"},
        {"id": 18, "name": "Drama"},
        {"id": 10765, "name": "Sci-Fi & Fantasy"},
        {"id": 10768, "name": "War & Politics"},
    ],
}

_FIRST_WORDS = ["Amber", "Brisk", "Cobalt", "Dusty", "Eager", "Faded", "Gentle", "Hidden", "Ivory"]
_LAST_WORDS = ["Anchor", "Badger", "Cinder", "Delta", "Ember", "Falcon", "Garden", "Harbour"]


@dataclass(frozen=True)
class Whole:
    """A title in full."""

    own: Any
    parts: Any
    """What can be appended, by its name."""


def title(number: int) -> str:
    first, last = number % len(_FIRST_WORDS), number // len(_FIRST_WORDS) % len(_LAST_WORDS)
    return f"{_FIRST_WORDS[first]} {_LAST_WORDS[last]} {number}"


def image(text: str, suffix: str = "jpg") -> str:
    return f"/{hashlib.sha256(text.encode()).hexdigest()[:27]}.{suffix}"


def imdb(kind: str, number: int) -> str:
    return f"tt{number + (0 if kind == 'movie' else 5_000_000):07}"


def changed(number: int) -> Any:
    # As it is: TMDB says `null` of what was taken away.
    return {"id": number, "adult": None if number % 7 == 0 else False}


def listed(kind: str, number: int) -> Any:
    movie = kind == "movie"
    day = (date(1960, 1, 1) + timedelta(days=number * 37 % 24_000)).isoformat()
    found = {
        "adult": False,
        "backdrop_path": image(f"backdrop {kind} {number}"),
        "genre_ids": [one["id"] for one in GENRES[kind][number % 3 :][:2]],
        "id": number,
        "original_language": "en",
        "overview": f"Somebody looks for number {number}, and finds something else.",
        "popularity": round(5000 / (number - 900), 4),
        "poster_path": image(f"poster {kind} {number}"),
        "vote_average": round(5 + number % 45 / 10, 3),
        "vote_count": 10 + number * 13 % 20_000,
    }
    names = {"original_title": title(number), "title": title(number)}
    if movie:
        return {**found, **names, "release_date": day, "video": False}
    return {
        **found,
        "origin_country": ["US"],
        "original_name": title(number),
        "name": title(number),
        "first_air_date": day,
    }


def details(kind: str, number: int, seasons: int, episodes: int, version: int = 0) -> Whole:
    movie = kind == "movie"
    found = listed(kind, number)
    del found["genre_ids"]
    found["overview"] += f" (Version {version}.)" if version else ""
    own = {
        **found,
        "genres": GENRES[kind][number % 3 :][:2],
        "homepage": "https://title.example",
        "origin_country": ["US"],
        "spoken_languages": [{"english_name": "English", "iso_639_1": "en", "name": "English"}],
        "production_companies": [],
        "production_countries": [{"iso_3166_1": "US", "name": "United States of America"}],
        "tagline": "Nothing is where it was.",
    }
    external: dict[str, Any] = {
        "imdb_id": imdb(kind, number),
        "wikidata_id": None,
        "facebook_id": None,
        "instagram_id": None,
        "twitter_id": None,
    }
    parts = {
        "translations": {"translations": _translations(kind, number)},
        "images": _images(kind, number),
        "credits": _credits(number),
        "videos": {"results": _videos(number)},
        "external_ids": external,
    }
    if movie:
        own |= {
            "belongs_to_collection": None,
            "budget": 0,
            "imdb_id": imdb(kind, number),
            "revenue": 0,
            "runtime": 80 + number % 90,
            "status": "Released",
        }
        parts["release_dates"] = {"results": _releases()}
    else:
        external |= {"freebase_mid": None, "freebase_id": None, "tvdb_id": number, "tvrage_id": 1}
        own |= {
            "created_by": [{"id": 7, "credit_id": "x", "name": "Clara Creator", "gender": 1}],
            "episode_run_time": [45],
            "in_production": False,
            "languages": ["en"],
            "last_air_date": "2021-07-17",
            "number_of_episodes": seasons * episodes,
            "number_of_seasons": seasons,
            "seasons": [_season(number, which, episodes) for which in range(seasons + 1)],
            "status": "Ended",
            "type": "Scripted",
        }
        parts["content_ratings"] = {
            "results": [
                {"descriptors": [], "iso_3166_1": "US", "rating": "TV-14"},
                {"descriptors": [], "iso_3166_1": "DE", "rating": "12"},
            ]
        }
    return Whole(own, parts)


def season(show: int, which: int, episodes: int) -> Any:
    found = _season(show, which, episodes)
    del found["episode_count"]
    return {
        "_id": "63af1b38be4b3600d73f9530",
        **found,
        "episodes": [
            {
                "air_date": f"20{10 + which % 80:02}-01-{episode % 28 + 1:02}",
                "episode_number": episode,
                "episode_type": "standard",
                "id": show * 10_000 + which * 100 + episode,
                "name": f"{title(show + episode)}",
                "overview": "",
                "production_code": "",
                "runtime": 44,
                "season_number": which,
                "show_id": show,
                "still_path": image(f"still {show} {which} {episode}"),
                "vote_average": 7.5 if episode == 1 else 0,
                "vote_count": 3 if episode == 1 else 0,
                "crew": [],
                "guest_stars": [],
            }
            for episode in range(1, episodes + 1)
        ],
    }


def _season(show: int, which: int, episodes: int) -> Any:
    return {
        "air_date": f"20{10 + which % 80:02}-01-02",
        "episode_count": episodes,
        "id": show * 100 + which,
        "name": f"Season {which}" if which else "Specials",
        "overview": "",
        "poster_path": image(f"poster {show} {which}") if which else None,
        "season_number": which,
        "vote_average": 0,
    }


def _translations(kind: str, number: int) -> list[Any]:
    def one(language: str, region: str, name: str, overview: str) -> Any:
        named: Any = {"title": name, "runtime": 90} if kind == "movie" else {"name": name}
        data = {"homepage": "", "overview": overview, "tagline": "", **named}
        return {
            "iso_3166_1": region,
            "iso_639_1": language,
            "name": language,
            "english_name": language,
            "data": data,
        }

    return [
        one("en", "US", "", "Somebody looks for something."),
        one("de", "DE", f"Stille Nummer {number}", "Jemand sucht etwas."),
        one("pt", "BR", f"Brasileiro {number}", "Algu\u00e9m procura."),
        one("pt", "PT", f"Portugu\u00eas {number}", "Algu\u00e9m busca."),
        one("fr", "FR", "", ""),
    ]


def _images(kind: str, number: int) -> Any:
    def one(role: str, language: str | None, suffix: str = "jpg") -> Any:
        return {
            "aspect_ratio": 0.667,
            "height": 3000,
            "iso_639_1": language,
            "file_path": image(f"{role} {kind} {number} {language}", suffix),
            "vote_average": 5.3,
            "vote_count": 4,
            "width": 2000,
        }

    main = {"poster": f"poster {kind} {number}", "backdrop": f"backdrop {kind} {number}"}
    return {
        "backdrops": [
            one("backdrop", "en"),
            one("backdrop", None),
            one("backdrop", None) | {"file_path": image(main["backdrop"])},
        ],
        "logos": [one("logo", "en", "svg"), one("logo", "en", "png"), one("logo", "de", "png")],
        "posters": [
            one("poster", None),
            one("poster", "de"),
            one("poster", "en") | {"file_path": image(main["poster"])},
        ],
    }


def _credits(number: int) -> Any:
    def person(which: int, name: str) -> Any:
        return {
            "adult": False,
            "gender": 2,
            "id": which,
            "known_for_department": "Acting",
            "name": name,
            "original_name": name,
            "popularity": 1.5,
            "profile_path": image(f"profile {which}"),
            "credit_id": f"{number}-{which}",
        }

    cast = [
        {**person(100 + n, f"Actor {n}"), "character": f"Part {n}", "order": n} for n in range(40)
    ]
    crew = [
        {**person(1, "Dora Director"), "department": "Directing", "job": "Director"},
        {**person(2, "Wim Writer"), "department": "Writing", "job": "Story"},
        {**person(2, "Wim Writer"), "department": "Writing", "job": "Screenplay"},
        {**person(3, "Greta Grip"), "department": "Crew", "job": "Grip"},
    ]
    return {"cast": cast, "crew": crew}


def _videos(number: int) -> list[Any]:
    def one(kind: str, key: str, *, official: bool = False, language: str = "en") -> Any:
        return {
            "iso_639_1": language,
            "iso_3166_1": "US",
            "name": "A trailer",
            "key": key,
            "site": "YouTube",
            "size": 1080,
            "type": kind,
            "official": official,
            "published_at": "2020-01-01T00:00:00.000Z",
            "id": f"video {number}",
        }

    return [
        one("Featurette", "aaaaaaaaaaa", official=True),
        one("Teaser", "bbbbbbbbbbb", official=True),
        one("Trailer", "ccccccccccc"),
        one("Trailer", "ddddddddddd", official=True),
        one("Trailer", "eeeeeeeeeee", official=True, language="de"),
        one("Trailer", "https://evil.example/", official=True),
    ]


def _releases() -> list[Any]:
    def one(kind: int, certification: str) -> Any:
        return {
            "certification": certification,
            "descriptors": [],
            "iso_639_1": "",
            "note": "",
            "release_date": "1994-09-10T00:00:00.000Z",
            "type": kind,
        }

    return [
        {"iso_3166_1": "US", "release_dates": [one(1, ""), one(4, "NC-17"), one(3, "R")]},
        {"iso_3166_1": "DE", "release_dates": [one(3, "16")]},
        {"iso_3166_1": "FR", "release_dates": [one(3, "")]},
    ]
