"""Which source is taken first: pairs of which everybody would take the one, and the reasons."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.sources.ranking import (
    BROWSER,
    Candidate,
    Client,
    Preference,
    Ranked,
    plays_how,
    rank,
)
from miauflixd.sources.release_model import AudioCodec, Quality, VideoCodec
from miauflixd.sources.release_names import parse

GIB = 2**30
EVENING = Preference(runtime=7200, original_language="en")
UHD = Preference(
    max_height=2160,
    runtime=7200,
    original_language="en",
    client=Client(
        video=frozenset(VideoCodec),
        audio=frozenset(AudioCodec),
        containers=frozenset({"mkv", "mp4"}),
        hdr=True,
    ),
)


def source(name: str, *, seeders: int | None = 30, **more: Any) -> Candidate:
    return Candidate(id=name, release=parse(name), seeders=seeders, **more)


def only(candidate: Candidate, preference: Preference = EVENING) -> Ranked:
    [ranked] = rank([candidate], preference)
    return ranked


GOOD = source("Glass.Meridian.2021.1080p.WEB-DL.AAC2.0.x264-GRP", size=4 * GIB)


@pytest.mark.parametrize(
    ("better", "worse", "preference"),
    [
        (GOOD, replace(GOOD, seeders=2), EVENING),
        (GOOD, replace(GOOD, seeders=0), EVENING),
        (GOOD, replace(GOOD, seeders=None), EVENING),
        (GOOD, replace(GOOD, seeders_before=200), EVENING),
        (GOOD, replace(GOOD, counted_ago=30 * 86_400.0), EVENING),
        (GOOD, replace(GOOD, trust=0.1), EVENING),
        (replace(GOOD, state="cached", seeders=0), GOOD, EVENING),
        (replace(GOOD, state="ready"), GOOD, EVENING),
        (replace(GOOD, needs_swarm=False, seeders=None), replace(GOOD, seeders=3), EVENING),
        (GOOD, source("Glass.Meridian.2021.720p.WEB-DL.AAC2.0.x264-GRP"), EVENING),
        (GOOD, source("Glass.Meridian.2021.480p.WEB-DL.AAC2.0.x264-GRP"), EVENING),
        (GOOD, source("Glass.Meridian.2021.2160p.WEB-DL.AAC2.0.x265-GRP"), EVENING),
        (GOOD, source("Glass.Meridian.2021.1080p.TS.AAC2.0.x264-GRP", seeders=900), EVENING),
        (GOOD, source("Glass.Meridian.2021.1080p.HDCAM.x264-GRP", seeders=900), EVENING),
        (GOOD, source("Glass.Meridian.2021.1080p.WEB-DL.DDP5.1.x264-GRP"), EVENING),
        (GOOD, source("Glass.Meridian.2021.1080p.WEB-DL.AAC2.0.x265-GRP"), EVENING),
        (GOOD, source("Glass.Meridian.2021.HINDI.1080p.WEB-DL.AAC2.0.x264-GRP"), EVENING),
        (
            source("Glass.Meridian.2021.MULTi.1080p.WEB-DL.AAC2.0.x264-GRP"),
            source("Glass.Meridian.2021.HINDI.1080p.WEB-DL.AAC2.0.x264-GRP"),
            EVENING,
        ),
        (
            source("Glass.Meridian.2021.French.720p.WEB-DL.AAC2.0.x264-GRP"),
            GOOD,
            replace(EVENING, languages=("fr",), original_language="en"),
        ),
        (
            source("Glass.Meridian.2021.2160p.WEB-DL.DDP5.1.DV.HDR.H.265-GRP", size=15 * GIB),
            source("Glass.Meridian.2021.1080p.WEB-DL.DDP5.1.H.264-GRP", size=5 * GIB),
            replace(UHD, quality=Quality.P2160),
        ),
        (
            source("Glass.Meridian.2021.1080p.WEB-DL.DDP5.1.H.264-GRP", size=5 * GIB),
            source(
                "Glass.Meridian.2021.2160p.BluRay.REMUX.HDR.HEVC.TrueHD-GRP",
                size=70 * GIB,
                seeders=4,
            ),
            UHD,
        ),
        (
            source("Glass.Meridian.2021.720p.WEB-DL.AAC2.0.x264-GRP", size=2 * GIB),
            GOOD,
            replace(EVENING, quality=Quality.P720),
        ),
        (
            source("Glass.Meridian.2021.2160p.WEB-DL.DV.HDR.H.265-GRP"),
            source("Glass.Meridian.2021.2160p.WEB-DL.DV.H.265-GRP"),
            replace(UHD, client=replace(UHD.client, hdr=False)),
        ),
        (
            source("Glass.Meridian.2021.PROPER.1080p.WEB-DL.AAC2.0.x264-GRP", size=4 * GIB),
            GOOD,
            EVENING,
        ),
    ],
)
def test_of_two_the_one_that_everybody_would_take_comes_first(better, worse, preference):
    for order in ([better, worse], [worse, better]):
        assert rank(order, preference)[0].candidate is better


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        (replace(GOOD, broken=True), "found to be broken"),
        (replace(GOOD, state="dead"), "dead"),
        (source("Glass.Meridian.2021.3D.HSBS.1080p.BluRay.x264-GRP"), "in 3D"),
        (source("Glass.Meridian.2021.Sample.1080p.x264-GRP"), "not the film itself"),
        (replace(GOOD, size=20 * 2**20), "far too small, probably a sample or a fake"),
        (replace(GOOD, size=300 * 2**20), "too small for what it claims to be"),
        (replace(GOOD, size=900 * GIB), "too big for one film"),
    ],
)
def test_what_must_not_be_played_comes_behind_everything_else(out, reason):
    out = replace(out, seeders=1000, trust=1.0)
    cam = source("Glass.Meridian.2021.480p.CAM.HINDI.x265-GRP", seeders=0, trust=0.0)
    first, last = rank([out, cam], EVENING)
    assert (first.candidate, first.usable) == (cam, True)
    assert (last.candidate, last.usable, last.reasons[0]) == (out, False, reason)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Glass Meridian (2021) [1080p] [WEBRip] [5.1] [YTS.MX]", 1.8 * GIB),
        ("Glass.Meridian.2021.720p.BluRay.800MB.x264-GalaxyRG", 0.8 * GIB),
        ("Glass.Meridian.2021.1080p.10bit.WEBRip.6CH.x265.HEVC-PSA", 1.2 * GIB),
        ("Glass Meridian (2021) [2160p] [4K] [BluRay] [5.1] [YTS.MX]", 5.5 * GIB),
        ("Glass.Meridian.2021.2160p.UHD.BluRay.REMUX.HEVC.TrueHD-GRP", 80 * GIB),
        ("Glass.Meridian.2005.DVDRip.XviD-GRP", 0.7 * GIB),
        ("Glass.Meridian.2021.1080p.BluRay.AV1.Opus-GRP", 1.2 * GIB),
    ],
)
def test_what_people_really_encode_is_no_fake(name, size):
    assert only(source(name, size=int(size)), UHD).usable


def test_the_reasons_name_what_counted_most_first():
    ranked = only(replace(GOOD, state="cached"))
    assert ranked.reasons == ("already here", "1080p, as wanted", "plays as it is")
    cam = only(source("Glass.Meridian.2021.HINDI.1080p.HDCAM.x264-GRP", seeders=2))
    assert cam.reasons[0] == "filmed in a cinema"
    assert {"in none of the wanted languages", "few have it"} <= set(cam.reasons)


@pytest.mark.parametrize(
    ("name", "client", "expected"),
    [
        ("Glass.2021.1080p.WEB-DL.AAC2.0.x264-GRP.mkv", BROWSER, "direct"),
        ("Glass (2021) [1080p] [BluRay] [5.1] [YTS.MX]", BROWSER, "direct"),
        ("Glass.2021.1080p.BluRay.AV1.Opus.5.1-GRP", BROWSER, "direct"),
        ("Glass.2021.1080p.WEB-DL.DDP5.1.x264-GRP.mkv", BROWSER, "remux"),
        ("Glass.2021.1080p.BluRay.DTS.x264-GRP", BROWSER, "remux"),
        ("Glass.2021.1080p.BluRay.x264-GRP", BROWSER, "remux"),
        ("Glass.2021.1080p.WEB-DL.AAC2.0.x264-GRP.avi", BROWSER, "remux"),
        ("Glass.2021.1080p.WEB-DL.AAC2.0.x264-GRP.avi", replace(BROWSER, remux=False), "external"),
        ("Glass.2021.1080p.WEB-DL.AAC2.0.x265-GRP.mkv", BROWSER, "external"),
        ("Glass.2021.2160p.WEB-DL.AAC2.0-GRP.mkv", BROWSER, "external"),
        ("Glass.2005.DVDRip.XviD.MP3-GRP.avi", BROWSER, "external"),
        ("Glass.2021.2160p.WEB-DL.DDP5.1.Atmos.H.265-GRP", UHD.client, "direct"),
    ],
)
def test_how_it_plays_is_guessed_from_the_name(name, client, expected):
    release = parse(name)
    height = release.quality.height if release.quality else 480
    assert plays_how(release, client, height, transcodes=False) == expected


def test_a_house_that_can_encode_does_so_up_to_full_hd():
    release = parse("Glass.2021.1080p.WEB-DL.AAC2.0.x265-GRP.mkv")
    assert plays_how(release, BROWSER, 1080, transcodes=True) == "transcode"
    assert plays_how(release, BROWSER, 2160, transcodes=True) == "external"


def test_what_does_not_say_how_many_lines_is_judged_by_its_size():
    big = only(source("Glass.Meridian.2021.WEB-DL.x264-GRP", size=5 * GIB))
    small = only(source("Glass.Meridian.2021.WEB-DL.x264-GRP", size=int(0.6 * GIB)))
    assert "1080p, as wanted" in big.reasons
    assert big.score > small.score


def test_equals_stay_in_the_order_in_which_they_were_found():
    twins = [replace(GOOD, id=number) for number in range(5)]
    assert [one.candidate.id for one in rank(twins, EVENING)] == [0, 1, 2, 3, 4]


numbers = st.none() | st.integers(-(2**63), 2**63)


@settings(derandomize=True, max_examples=200)
@given(
    st.lists(st.tuples(numbers, numbers, numbers, st.floats(0, 1)), max_size=5),
    st.none() | st.floats(0, 1e9),
    st.integers(0, 10_000),
)
def test_whatever_strangers_count_the_order_is_an_order(counts, runtime, max_height):
    candidates = [
        replace(GOOD, id=place, size=size, seeders=seeders, seeders_before=before, trust=trust)
        for place, (size, seeders, before, trust) in enumerate(counts)
    ]
    ranked = rank(candidates, Preference(runtime=runtime, max_height=max_height))
    assert {one.candidate.id for one in ranked} == set(range(len(counts)))
    assert all(math.isfinite(one.score) for one in ranked)
    for usable in (True, False):
        scores = [one.score for one in ranked if one.usable is usable]
        assert scores == sorted(scores, reverse=True)
