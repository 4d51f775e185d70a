"""How a client gets a file: each row of what was measured, and what must never happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.playback.client import ANYTHING, Capabilities
from miauflixd.playback.decision import decide, track_to_hear
from miauflixd.playback.model import Reason
from miauflixd.remuxer.media import Media
from tests.playback_house import audio, media, video

CHROMIUM = Capabilities.reported(
    containers=["mp4", "mkv", "webm"],
    video=["h264", "h264-10bit", "vp8", "vp9", "av1"],
    audio=["aac", "opus", "vorbis", "flac", "mp3", "mkv/flac", "mkv/mp3"],
    hls=True,
    hdr=False,
    channels=2,
)
FIREFOX = Capabilities.reported(
    containers=["mp4", "mkv", "webm"],
    video=["h264", "h264-10bit", "hevc", "hevc-10bit", "vp8", "vp9", "av1"],
    audio=["aac", "opus", "vorbis", "flac", "mp3"],
    hls=True,
    hdr=False,
    channels=2,
)
SAFARI = Capabilities.reported(
    containers=["mp4"],
    video=["h264", "hevc", "hevc-10bit"],
    audio=["aac", "ac3", "eac3", "flac", "mp3", "opus"],
    hls=True,
    hdr=True,
    channels=6,
)
OLD_TV = Capabilities.reported(
    containers=["mp4"], video=["h264"], audio=["aac"], hls=False, hdr=False, channels=2
)


def of(container: str, picture: str, sound: str | None, *, depth: int = 8) -> Media:
    tracks = () if sound is None else (audio(sound, default=True),)
    return media(container, video=(video(picture, bit_depth=depth),), audio=tracks)


@pytest.mark.parametrize(
    ("file", "chromium", "firefox", "safari", "tv"),
    [
        (of("mov", "h264", "aac"), "direct", "direct", "direct", "direct"),
        (of("matroska", "h264", "aac"), "direct", "direct", "remux", "external"),
        (of("matroska", "h264", "opus"), "direct", "direct", "remux", "external"),
        (of("matroska", "h264", "flac"), "direct", "remux", "remux", "external"),
        (of("matroska", "h264", "mp3"), "direct", "remux", "remux", "external"),
        (of("matroska", "h264", "ac3"), "remux", "remux", "remux", "external"),
        (of("matroska", "h264", "eac3"), "remux", "remux", "remux", "external"),
        (of("matroska", "h264", "dts"), "remux", "remux", "remux", "external"),
        (of("matroska", "h264", "truehd"), "remux", "remux", "remux", "external"),
        (of("matroska", "h264", "aac", depth=10), "direct", "direct", "external", "external"),
        (of("mov", "hevc", "aac"), "external", "direct", "direct", "external"),
        (of("matroska", "hevc", "aac"), "external", "direct", "remux", "external"),
        (of("matroska", "hevc", "eac3", depth=10), "external", "remux", "remux", "external"),
        (of("matroska", "av1", "opus"), "direct", "direct", "external", "external"),
        (of("matroska", "vp9", "opus"), "direct", "direct", "external", "external"),
        (of("avi", "mpeg4", "mp3"), "external", "external", "external", "external"),
        (of("mpeg", "mpeg2video", "mp2"), "external", "external", "external", "external"),
        (of("mpegts", "h264", "aac"), "remux", "remux", "remux", "external"),
        (of("mpegts", "h264", "ac3"), "remux", "remux", "remux", "external"),
        (of("avi", "h264", "mp3"), "remux", "remux", "remux", "external"),
        (of("mov", "h264", None), "direct", "direct", "direct", "direct"),
    ],
)
def test_each_row_of_what_was_measured(file, chromium, firefox, safari, tv):
    found = [decide(file, client).method for client in (CHROMIUM, FIREFOX, SAFARI, OLD_TV)]
    assert found == [chromium, firefox, safari, tv]
    assert decide(file, ANYTHING).method == "direct"


def test_who_says_nothing_gets_what_every_browser_plays():
    assert decide(of("matroska", "h264", "aac"), Capabilities()).method == "direct"
    assert decide(of("matroska", "h264", "flac"), Capabilities()).method == "remux"
    assert decide(of("mov", "hevc", "aac"), Capabilities()).method == "external"


def test_sound_is_copied_where_it_is_understood_and_is_aac_elsewhere():
    film = of("matroska", "h264", "eac3")
    safari, chromium = decide(film, SAFARI).recipe, decide(film, CHROMIUM).recipe
    assert safari is not None
    assert safari.audio_codec == "copy"
    assert chromium is not None
    assert chromium.audio_codec == "aac"
    assert chromium.audio_channels == 2


def test_the_reasons_say_what_stands_against_it():
    assert decide(of("matroska", "h264", "dts"), CHROMIUM).reasons == (
        Reason.AUDIO_CODEC_NOT_SUPPORTED,
    )
    assert decide(of("avi", "mpeg4", "mp3"), CHROMIUM).reasons == (
        Reason.CONTAINER_NOT_SUPPORTED,
        Reason.VIDEO_CODEC_NOT_SUPPORTED,
        Reason.NO_ENCODER,
    )
    deep = decide(of("mov", "hevc", "aac", depth=10), Capabilities(video=frozenset({"hevc"})))
    assert deep.reasons[0] == Reason.VIDEO_BIT_DEPTH_NOT_SUPPORTED


def test_pictures_are_encoded_only_where_that_works_and_is_allowed():
    film = of("mov", "hevc", "aac")
    made = decide(film, CHROMIUM, encoder="h264_vaapi")
    assert made.method == "transcode"
    assert made.recipe is not None
    assert made.recipe.encoding is not None
    assert (made.recipe.encoding.encoder, made.recipe.encoding.height) == ("h264_vaapi", 1080)
    small = decide(film, CHROMIUM, encoder="h264_vaapi", max_height=800)
    assert small.recipe is not None
    assert small.recipe.encoding is not None
    assert small.recipe.encoding.height == 720
    refused = decide(film, CHROMIUM, encoder="libx264", encoding_allowed=False)
    assert refused.method == "external"
    assert Reason.ENCODING_NOT_ALLOWED in refused.reasons


def test_what_the_client_has_tried_in_vain_is_not_tried_again():
    film = of("mov", "h264", "aac")
    first = decide(film, CHROMIUM, failed=["direct"])
    assert (first.method, first.reasons) == ("remux", (Reason.DIRECT_PLAY_FAILED,))
    assert decide(film, CHROMIUM, failed=["direct", "remux"]).method == "external"
    again = decide(film, CHROMIUM, failed=["direct", "remux"], encoder="libx264")
    assert again.method == "transcode"


def test_another_track_than_the_first_is_heard_only_in_segments():
    film = media(
        "matroska",
        audio=(audio("aac", 1, language="en", default=True), audio("aac", 2, language="de")),
    )
    assert decide(film, CHROMIUM).method == "direct"
    german = decide(film, CHROMIUM, languages=["de"])
    assert (german.method, german.audio) == ("remux", 2)
    assert german.reasons == (Reason.AUDIO_TRACK_CHOSEN,)
    assert decide(film, CHROMIUM, languages=["de"], audio=1).method == "direct"


@pytest.mark.parametrize(
    ("languages", "original", "heard"),
    [
        ((), None, 2),
        ((), "fr", 3),
        (("de", "en"), "fr", 2),
        (("ja", "en-GB"), "fr", 1),
        (("ja",), None, 2),
    ],
)
def test_which_track_is_heard(languages, original, heard):
    film = media(
        "matroska",
        audio=(
            audio("aac", 1, language="en"),
            audio("aac", 2, language="de", default=True),
            audio("aac", 3, language="fr"),
            audio("aac", 4, language="en", commentary=True),
        ),
    )
    track = track_to_hear(film, languages=languages, original_language=original)
    assert track is not None
    assert track.index == heard


def test_films_of_odd_kinds():
    music = Media(container="mp3", audio=(audio("mp3"),))
    assert decide(music, CHROMIUM).method == "direct"
    assert decide(Media(container="flac", audio=(audio("dts"),)), CHROMIUM).method == "external"
    assert decide(Media(container="matroska"), CHROMIUM).reasons == (Reason.NOT_A_MEDIA_FILE,)
    endless = media("matroska", duration=None, audio=(audio("dts"),))
    assert Reason.LENGTH_NOT_KNOWN in decide(endless, CHROMIUM).reasons
    dolby = media("mov", video=(video("hevc", bit_depth=10, hdr="dolby_vision"),))
    assert decide(dolby, FIREFOX).reasons[0] == Reason.VIDEO_RANGE_NOT_SUPPORTED
    assert decide(dolby, SAFARI).method == "direct"


def test_music_that_would_be_silent_or_was_tried_in_vain_is_left_to_other_players():
    album = Media(container="matroska", audio=(audio("flac", default=True),))
    assert decide(album, CHROMIUM).method == "direct"
    assert decide(album, FIREFOX).method == "external"
    assert Reason.DIRECT_PLAY_FAILED in decide(album, CHROMIUM, failed=["direct"]).reasons


def test_a_wide_film_is_not_made_smaller_than_the_screen_asks_for():
    film = media("mov", video=(video("hevc", width=1920, height=800),))
    made = decide(film, CHROMIUM, encoder="h264_vaapi")
    assert made.recipe is not None
    assert made.recipe.encoding is not None
    assert made.recipe.encoding.height == 1080


@given(
    container=st.sampled_from(["mov", "matroska", "avi", "mpegts", "mpeg", "flv"]),
    picture=st.sampled_from(["h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mpeg2video", "vc1"]),
    depth=st.sampled_from([8, 10]),
    sounds=st.lists(
        st.sampled_from(["aac", "ac3", "eac3", "dts", "truehd", "flac", "mp3", "opus", "mp2"]),
        max_size=3,
    ),
    languages=st.lists(st.sampled_from(["en", "de"]), max_size=2),
    client=st.sampled_from([CHROMIUM, FIREFOX, SAFARI, OLD_TV, Capabilities()]),
    encoder=st.sampled_from([None, "libx264"]),
)
def test_nothing_that_would_be_silent_or_black_is_handed_out(
    *, container, picture, depth, sounds, languages, client, encoder
):
    tracks = tuple(
        audio(sound, index + 1, language=["en", "de", "fr"][index])
        for index, sound in enumerate(sounds)
    )
    film = media(container, video=(video(picture, bit_depth=depth),), audio=tracks)
    found = decide(film, client, languages=languages, encoder=encoder)
    codec = f"{picture}-10bit" if depth == 10 and picture in ("h264", "hevc") else picture
    ending = {"mov": "mp4", "matroska": "mkv"}.get(container, container)
    heard = next((one for one in tracks if one.index == found.audio), None)
    assert (heard is None) == (not tracks)
    if found.method == "direct":
        assert codec in client.video
        assert heard is None or heard.codec in client.audio
        assert heard is None or (ending, heard.codec) not in client.silent
        assert heard is None or heard.index == 1
    elif found.method == "remux":
        assert codec in client.video
        assert found.recipe is not None
        assert found.recipe.encoding is None
        assert heard is None or found.recipe.audio_codec == "aac" or heard.codec in client.audio
    elif found.method == "external":
        assert found.reasons
