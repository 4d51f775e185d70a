"""The names of releases: what a person reads in them, and what strangers may send."""

import json
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.sources.release_model import Release
from miauflixd.sources.release_names import parse

LABELLED = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "release_names.jsonl").read_text().splitlines()
]
"""What a person would say of each name; what is not there is what `Release` has by default."""

FIELDS = [field for field in Release().to_mapping() if field != "other_years"]
"""Other years are a help for matching, and nobody would say them."""

DERIVED = ("season", "episode", "cam")
DEFAULTS = Release().to_mapping()


def comparable(value: Any) -> Any:
    """Return a value such that the order of languages and codecs does not count."""
    return sorted(map(str, value)) if isinstance(value, (tuple, list)) else value


def judge() -> tuple[Counter[str], Counter[str], list[str]]:
    """Return how often each field was said, by the person or by us, and how often wrongly."""
    said: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    mistakes = []
    for label in LABELLED:
        read = parse(label["name"]).to_mapping()
        for field in FIELDS:
            if field in DERIVED:
                continue
            expected = comparable(label.get(field, DEFAULTS[field]))
            found = comparable(read[field])
            if field in label or found != comparable(DEFAULTS[field]):
                said[field] += 1
                if found != expected:
                    wrong[field] += 1
                    mistakes.append(f"{label['name']}: {field} is {expected}, read {found}")
    return said, wrong, mistakes


def test_of_all_that_is_said_in_the_labelled_names_nearly_everything_is_read():
    assert len({label["name"] for label in LABELLED}) >= 320
    said, wrong, mistakes = judge()
    # Stricter than to count all fields: that most names say nothing of 3D is no achievement.
    assert wrong.total() / said.total() <= 0.01, mistakes
    for field in said:
        assert wrong[field] / said[field] <= 0.03, (field, mistakes)


def test_every_field_is_said_by_some_name():
    said, _, _ = judge()
    assert set(said) == {field for field in FIELDS if field not in DERIVED}


@pytest.mark.parametrize(
    ("name", "seasons", "episodes"),
    [
        ("Cinder.Street.S02E03", (2,), (3,)),
        ("Cinder.Street.S02.E03", (2,), (3,)),
        ("Cinder Street s2e3", (2,), (3,)),
        ("Cinder.Street.S02E03E04.720p", (2,), (3, 4)),
        ("Cinder.Street.S02E03-05.720p", (2,), (3, 4, 5)),
        ("Cinder.Street.S02E03-S02E05.720p", (2,), (3, 4, 5)),
        ("Cinder.Street.S02E03-1080p", (2,), (3,)),
        ("Cinder Street S02E03 - 10 Things", (2,), (3,)),
        ("Cinder.Street.2x03-04.HDTV", (2,), (3, 4)),
        ("Cinder.Street.S2024E101.720p", (2024,), (101,)),
        ("Cinder.Street.S01-S03.720p", (1, 2, 3), ()),
        ("Cinder Street Seasons 1-3 & 5", (1, 2, 3, 5), ()),
        ("Cinder Street 3rd Season 720p", (3,), ()),
        ("Cinder Street 3ª Temporada 720p", (3,), ()),
        ("[Kumo] Cinder Street - 1043 [720p]", (), (1043,)),
        ("[Kumo] Cinder Street - 12-24 [720p]", (), tuple(range(12, 25))),
        ("Cinder Street E001 720p", (), (1,)),
        ("Cinder Street odc. 12 720p", (), (12,)),
        ("12 Stubborn Men 1957", (), ()),
        ("Cinder Street 5.1 x264", (), ()),
        ("Cinder.Street.S01E01-E999999.720p", (1,), (1,)),
    ],
)
def test_seasons_and_episodes_are_counted(name, seasons, episodes):
    release = parse(name)
    assert (release.seasons, release.episodes) == (seasons, episodes)


def test_a_range_of_too_many_episodes_is_not_believed():
    assert len(parse("Cinder Street S01E01-E9999 720p").episodes) <= 2


@pytest.mark.parametrize(
    ("name", "title", "year", "others"),
    [
        ("Silver Runner 2049 2017 1080p", "Silver Runner 2049", 2017, (2049,)),
        ("2012 2009 1080p", "2012", 2009, (2012,)),
        ("2012 1080p", "2012", None, (2012,)),
        ("Some Movie 1990 2020 Remastered 1080p", "Some Movie", 2020, (1990,)),
        ("The 1900 Cottage S01E04 480p", "The 1900 Cottage", None, (1900,)),
        ("Cinder Street 2005 S01E04 480p", "Cinder Street", 2005, ()),
        ("Cinder Street S01E04 (2005) 480p", "Cinder Street", 2005, ()),
    ],
)
def test_a_year_is_told_from_a_number_in_the_title(name, title, year, others):
    release = parse(name)
    assert (release.title, release.year, release.other_years) == (title, year, others)


def test_a_day_that_does_not_exist_is_no_date():
    assert parse("The Evening Desk 2023 02 31 720p").aired is None
    assert parse("The Evening Desk 2024 02 29 720p").aired == date(2024, 2, 29)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "...",
        "[]",
        "[[[[((((",
        "]",
        "-",
        "🎬🎬🎬",
        "\0\0\0",
        "1080p",
        "S01E01",
        "2019",
        "x264-",
        "[Group]",
        "\ud800",
        "a" * 10_000,
        "S01E01" * 2000,
        "1-" * 5000,
        "S01E01-E02" + "-E03" * 3000,
        "1 - " * 3000,
        "( " * 5000,
        "2019 " * 2000,
        "German." * 1500,
        "Eng Sub " * 1500,
        "[a.b] " * 2000,
        "сезон 1 серия " * 800,
        "5.1 " * 3000,
    ],
)
def test_anything_can_be_read(name):
    release = parse(name)
    assert len(release.title) <= 300


def test_what_confuses_terminals_and_readers_does_not_get_through():
    release = parse("Glass\u202e Meri\x00dian\x1b[31m 2021\r\n 1080p x264-\u2066GRP")
    assert release.title == "Glass Meridian 31m"
    assert release.group == "GRP"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/Glass.Meridian.2021.1080p.mkv",
        "/srv/films/Glass.Meridian.2021.1080p.mkv",
        r"C:\Films\Glass.Meridian.2021.1080p.mkv",
        "Glass.Meridian/Glass.Meridian.2021.1080p.mkv",
        "Glass.Meridian.2021.1080p.mkv.torrent",
    ],
)
def test_of_a_path_only_the_name_of_the_file_counts(name):
    assert parse(name) == parse("Glass.Meridian.2021.1080p.mkv")


WORDS = [
    *("Glass", "S01", "E02", "S01E02", "1x02", "2019", "1999-2004", "2019.03.14", "-", "05"),
    *("1080p", "720", "x264", "H.265", "WEB-DL", "WEB", "TS", "CAM", "DTS-HD", "MA", "5.1", "5"),
    *("1", "AAC2.0", "German", "DL", "MULTi", "Eng", "Sub", "VOSTFR", "[YTS.MX]", "(2019)", "["),
    *("]", "(", ")", "/", "aka", "-GRP", "Season", "1-3", "&", "сезон", "серия", "2ª", "Cap.205"),
    *("temporada", "화", "⭐", "S01E01-E03", ".mkv", "www.site.com", "PROPER"),
]


@settings(derandomize=True, max_examples=300)
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=20), st.sampled_from(" ._"))
def test_whatever_it_is_the_answer_can_be_relied_on(words, between):
    release = parse(between.join(words))
    assert list(release.seasons) == sorted(set(release.seasons))
    assert list(release.episodes) == sorted(set(release.episodes))
    assert len(release.episodes) <= 300
    assert release.title == " ".join(release.title.split())
    assert release.title.isprintable() or "\u200c" in release.title or "\u200d" in release.title
    assert release.group is None or release.group.strip()
    json.dumps(release.to_mapping())
    assert parse(between.join(words)) == release


def test_reading_names_costs_no_import_of_what_is_seldom_needed():
    script = (
        "import sys; from miauflixd.sources.release_names import parse;"
        "parse('Glass.Meridian.2021.1080p.WEB-DL.x264-GRP'); print('PTT' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
