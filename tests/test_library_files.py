"""Links for Kodi and Jellyfin: where they lie, and that no name leads out of its folder."""

from datetime import date
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from miauflixd.catalogue.model import Card, Episode, Kind, OutsideIds, Title, TitleId
from miauflixd.playback.library_files import Shelved, library_files

PLAY = "https://nas.example/play/KEY"


def title(name: str, *, kind: Kind = Kind.MOVIE, year: int | None = 1999, **ids: Any) -> Title:
    card = Card(
        id=TitleId(kind, 7),
        title=name,
        year=year,
        poster=None,
        backdrop=None,
        rating=None,
        available=True,
    )
    return Title(
        card=card,
        ids=OutsideIds(**ids),
        original_title="",
        original_language="en",
        locale=None,
        tagline="",
        overview="A <plot> & more",
        released=date(1999, 3, 31),
        ended=None,
        runtime=8160,
        status="",
        votes=0,
        genres=(),
        certification=None,
        certification_region=None,
        credits=(),
        images=(),
        trailer=None,
        seasons=(),
        full=True,
        checked_at=None,
    )


def episode(season: int, number: int) -> Episode:
    return Episode(
        id=TitleId(Kind.EPISODE, 100 * season + number),
        season=season,
        number=number,
        title=f"Part {number}",
        overview="",
        aired=date(2001, 1, number),
        runtime=None,
        still=None,
        rating=None,
        available=True,
    )


def test_a_movie_lies_where_both_look_for_it():
    files = library_files([Shelved(title=title("The Film", tmdb=603, imdb="tt0133093"))], play=PLAY)
    place = "Movies/The Film (1999) [tmdbid-603]/The Film (1999) [tmdbid-603]"
    assert files[f"{place}.strm"] == f"{PLAY}/movie:7\n"
    nfo = ET.fromstring(files[f"{place}.nfo"])
    assert nfo.findtext("plot") == "A <plot> & more"
    assert nfo.findtext("runtime") == "136"
    assert nfo.findtext("uniqueid[@default='true']") == "603"
    assert nfo.findtext("uniqueid[@type='imdb']") == "tt0133093"


def test_a_show_lies_by_seasons():
    shelved = Shelved(
        title=title("The Show", kind=Kind.SHOW, year=None), episodes=(episode(0, 1), episode(2, 11))
    )
    files = library_files([shelved], play=PLAY)
    folder = "Shows/The Show [show-7]"
    assert sorted(files) == [
        f"{folder}/Season 00/The Show S00E01.nfo",
        f"{folder}/Season 00/The Show S00E01.strm",
        f"{folder}/Season 02/The Show S02E11.nfo",
        f"{folder}/Season 02/The Show S02E11.strm",
        f"{folder}/tvshow.nfo",
    ]
    assert files[f"{folder}/Season 02/The Show S02E11.strm"] == f"{PLAY}/episode:211\n"
    nfo = ET.fromstring(files[f"{folder}/Season 02/The Show S02E11.nfo"])
    assert (nfo.findtext("season"), nfo.findtext("episode")) == ("2", "11")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..", "", "a/b\\c:d*e?f", "\x00\x1b[31m", "CON. ", "x" * 500, "...hidden"],
)
def test_no_name_leads_out_of_its_folder(name):
    for path, text in library_files([Shelved(title=title(name))], play=PLAY).items():
        parts = PurePosixPath(path).parts
        assert len(parts) == 3
        assert parts[0] == "Movies"
        assert ".." not in parts
        assert all(len(part) < 200 and part.isprintable() for part in parts)
        assert not parts[2].startswith(".")
        if path.endswith(".nfo"):
            ET.fromstring(text)
