"""Which file of a torrent is the film, or the episode."""

import pytest

from miauflixd.catalogue.model import Kind
from miauflixd.sources.file_choice import Choice, NoChoice, choose
from miauflixd.sources.matching import Wanted
from miauflixd.torrents.model import SourceFile

_MIB = 2**20

KETTLE = Wanted(kind=Kind.MOVIE, titles=("The Kettle",), year=2010)


def files(*named: tuple[str, float]) -> list[SourceFile]:
    """Return files of so many mebibytes."""
    return [
        SourceFile(index=index, name=name, size=int(size * _MIB), offset=0)
        for index, (name, size) in enumerate(named)
    ]


def episode(season: int, number: int, absolute: int | None = None) -> Wanted:
    return Wanted(
        kind=Kind.EPISODE,
        titles=("Night Shift", "Nachtschicht"),
        year=2015,
        season=season,
        episode=number,
        absolute=absolute,
    )


def season_pack(season: int, count: int, name: str) -> list[SourceFile]:
    return files(*((name.format(s=season, e=number), 500.0) for number in range(1, count + 1)))


def chosen(found: Choice | NoChoice) -> str:
    assert isinstance(found, Choice), found
    return found.file.name


def refused(found: Choice | NoChoice) -> str:
    assert isinstance(found, NoChoice), found
    return found.reason


@pytest.mark.parametrize(
    ("held", "name", "film"),
    [
        pytest.param([("The.Kettle.2010.mkv", 900)], "The.Kettle.2010", 0, id="alone"),
        pytest.param([("abc123.mp4", 900)], "The.Kettle.2010", 0, id="called like nothing"),
        pytest.param(
            [("sample.mkv", 30), ("The.Kettle.2010.mkv", 900)], "The.Kettle.2010", 1, id="a sample"
        ),
        pytest.param(
            [("Sample/kettle.mkv", 30), ("kettle.mkv", 900)], "Kettle", 1, id="a sample's folder"
        ),
        pytest.param(
            [("Featurettes/Making.mkv", 1200), ("kettle.mkv", 900)],
            "The.Kettle.2010",
            1,
            id="extras that are bigger than the film",
        ),
        pytest.param(
            [("The.Kettle.2010-trailer.mp4", 80), ("The.Kettle.2010.mp4", 900)],
            "The Kettle",
            1,
            id="a trailer",
        ),
        pytest.param([("RARBG.mp4", 0.4), ("k.mp4", 900)], "The Kettle", 1, id="an advertisement"),
        pytest.param(
            [
                ("The Kettle 2 (2012).mkv", 2500),
                ("The Kettle (2010).mkv", 2000),
                ("The Kettle 3 (2015).mkv", 2500),
            ],
            "The Kettle Trilogy",
            1,
            id="a collection",
        ),
        pytest.param(
            [("The.Kettle.2010.480p.mp4", 500), ("The.Kettle.2010.1080p.mp4", 2000)],
            "The Kettle",
            1,
            id="twice, and the bigger is the better",
        ),
        pytest.param([("The Kettle\\k.avi", 700)], "The Kettle", 0, id="a path of Windows"),
        pytest.param([("k.mkv", 900), ("other.mkv", 100)], "The Kettle", 0, id="by size"),
    ],
)
def test_the_film_is_found(held: list[tuple[str, float]], name: str, film: int) -> None:
    assert chosen(choose(files(*held), KETTLE, name=name)) == held[film][0]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([], "no video"),
        ([("readme.txt", 0.1)], "no video"),
        ([("k.mkv", 0)], "no video"),
        ([("k.rar", 50), ("k.r00", 50)], "archive"),
        ([("k.part01.rar", 50)], "archive"),
        ([("kettle.iso", 4000)], "image of a disc"),
        ([("The.Kettle.2010.mkv.exe", 3)], "program"),
        ([("sample.mkv", 40)], "only samples"),
        ([("a.mkv", 900), ("b.mkv", 800)], "several films"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_reason(
    held: list[tuple[str, float]], words: str
) -> None:
    assert words in refused(choose(files(*held), KETTLE, name="The.Kettle.2010"))


def test_a_show_whose_title_is_the_word_for_an_extra_is_found() -> None:
    extras = Wanted(kind=Kind.EPISODE, titles=("Extras",), season=1, episode=2)
    held = files(("Extras/Extras.S01E01.avi", 300), ("Extras/Extras.S01E02.avi", 300))

    assert chosen(choose(held, extras, name="Extras.S01")) == "Extras/Extras.S01E02.avi"


@pytest.mark.parametrize(
    "names",
    [
        ("kettle-cd1.avi", "kettle-cd2.avi", "kettle-cd10.avi"),
        ("The Kettle (2010) Part 1.mkv", "The Kettle (2010) Part 2.mkv"),
        ("CD1/kettle.avi", "CD2/kettle.avi"),
        ("VIDEO_TS/VTS_01_1.VOB", "VIDEO_TS/VTS_01_2.VOB"),
    ],
)
def test_a_film_in_parts_begins_with_the_first(names: tuple[str, ...]) -> None:
    held = files(*((name, 700) for name in reversed(names)))

    found = choose(held, KETTLE, name="The Kettle 2010")

    assert isinstance(found, Choice)
    assert found.file.name == names[0]
    assert [part.name for part in found.parts] == list(names[1:2])


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("Night.Shift.S{s:02}E{e:02}.1080p.WEB.mkv", "Night.Shift.S02.1080p.WEB"),
        ("nachtschicht {s}x{e:02}.avi", "Nachtschicht Staffel 2"),
        ("S{s:02}E{e:02}.mkv", "Night.Shift.S02"),
        ("Season {s}/{e:02}.mkv", "Night Shift"),
        ("Season {s}/{e:02} - Some name.mkv", "Night Shift Complete"),
        ("Night Shift S{s:02}/Episode {e}.mkv", "Night Shift"),
        ("E{e:02}.mkv", "Night.Shift.S02.720p"),
        ("Night Shift {e:02}v2.mkv", "Night.Shift.S02.720p"),
    ],
)
def test_the_episode_of_a_season_is_found(pattern: str, name: str) -> None:
    held = season_pack(2, 12, pattern)

    assert chosen(choose(held, episode(2, 4), name=name)) == pattern.format(s=2, e=4)


def test_an_episode_is_not_mistaken_for_that_of_another_season() -> None:
    held = [
        *season_pack(1, 9, "Season {s}/{e:02}.mkv"),
        *season_pack(2, 9, "Season {s}/{e:02}.mkv"),
    ]
    held = [
        SourceFile(index=index, name=one.name, size=one.size, offset=0)
        for index, one in enumerate(held)
    ]

    assert chosen(choose(held, episode(1, 3), name="Night Shift")) == "Season 1/03.mkv"
    assert chosen(choose(held, episode(2, 3), name="Night Shift")) == "Season 2/03.mkv"
    assert "not in it" in refused(choose(held, episode(3, 3), name="Night Shift"))


def test_episodes_that_are_counted_on_are_found_by_their_count() -> None:
    held = season_pack(0, 26, "[Group] Night Shift - {e:02} [1080p].mkv")

    found = choose(held, episode(2, 4, absolute=16), name="[Group] Night Shift [1080p]")

    assert chosen(found) == "[Group] Night Shift - 16 [1080p].mkv"


def test_without_a_count_no_episode_of_a_later_season_is_guessed() -> None:
    held = season_pack(0, 26, "[Group] Night Shift - {e:02} [1080p].mkv")

    assert "not in it" in refused(choose(held, episode(2, 4), name="[Group] Night Shift"))


def test_a_single_file_of_the_right_torrent_may_be_called_as_it_likes() -> None:
    found = choose(files(("abcdef.mkv", 300)), episode(1, 4), name="Night.Shift.S01E04.720p")

    assert isinstance(found, Choice)
    assert found.file.name == "abcdef.mkv"


def test_a_single_file_that_says_it_is_another_episode_is_believed() -> None:
    held = files(("Night.Shift.S01E05.mkv", 300))

    assert "not in it" in refused(choose(held, episode(1, 4), name="Night.Shift.S01E04"))


def test_a_double_episode_serves_when_there_is_no_single_one() -> None:
    double = ("Night.Shift.S01E01-E02.mkv", 900.0)
    single = ("Night.Shift.S01E02.mkv", 400.0)

    assert chosen(choose(files(double), episode(1, 2), name="Night.Shift.S01")) == double[0]
    assert chosen(choose(files(double, single), episode(1, 2), name="Night.Shift.S01")) == single[0]


def test_subtitles_of_the_film_come_with_their_languages() -> None:
    held = files(
        ("K/The.Kettle.2010.mkv", 900),
        ("K/The.Kettle.2010.srt", 0.1),
        ("K/The.Kettle.2010.de.forced.srt", 0.1),
        ("K/Subs/2_English.srt", 0.1),
        ("K/Subs/3_eng,SDH.srt", 0.1),
        ("K/Subs/hin.srt", 0.1),
        ("K/Subs/pictures.idx", 0.1),
        ("K/Subs/huge.srt", 90),
    )

    found = choose(held, KETTLE, name="The.Kettle.2010")

    assert isinstance(found, Choice)
    said = {one.file.name: (one.language, one.forced, one.for_deaf) for one in found.subtitles}
    assert said == {
        "K/The.Kettle.2010.srt": (None, False, False),
        "K/The.Kettle.2010.de.forced.srt": ("de", True, False),
        "K/Subs/2_English.srt": ("en", False, False),
        "K/Subs/3_eng,SDH.srt": ("en", False, True),
        "K/Subs/hin.srt": ("hi", False, False),
    }


def test_an_episode_gets_its_own_subtitles_only() -> None:
    held = files(
        ("Night.Shift.S01E01.mkv", 300),
        ("Night.Shift.S01E02.mkv", 300),
        ("Night.Shift.S01E01.en.srt", 0.1),
        ("Night.Shift.S01E02.en.srt", 0.1),
        ("Subs/Night.Shift.S01E02/4_German.srt", 0.1),
    )

    found = choose(held, episode(1, 2), name="Night.Shift.S01")

    assert isinstance(found, Choice)
    assert [(one.file.name, one.language) for one in found.subtitles] == [
        ("Night.Shift.S01E02.en.srt", "en"),
        ("Subs/Night.Shift.S01E02/4_German.srt", "de"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd.mkv",
        "a\x00b\x1b[31m.mkv",
        "/" * 400 + ".mkv",
        "x" * 100_000 + ".mkv",
        "S99999E99999.mkv",
        "\u202efilm.mkv",
        "".join(["(" * 150, ".mkv"]),
        "\uff19\uff19\uff19.mkv",
    ],
)
def test_hostile_names_break_nothing(name: str) -> None:
    held = files((name, 900), ("Night.Shift.S01E02.mkv", 300))

    assert chosen(choose(held, episode(1, 2), name=name)) == "Night.Shift.S01E02.mkv"
    assert isinstance(choose(held[:1], KETTLE, name=name), Choice | NoChoice)
