"""What is said in films, as browsers are told it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miauflixd.playback.subtitles import Choice, choices, shown_at_first
from miauflixd.playback.webvtt import (
    BadSubtitlesError,
    Cue,
    ass_file,
    cues_of_file,
    cues_of_packets,
    decoded,
    webvtt,
)
from miauflixd.remuxer.media import SubtitlePacket, SubtitleTrack
from miauflixd.torrents.model import Layout, SourceFile
from tests.playback_house import rich

SRT = SubtitleTrack(index=2, codec="subrip", kind="text")
ASS = SubtitleTrack(
    index=3,
    codec="ass",
    kind="text",
    header=b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n",
)
MOV = SubtitleTrack(index=4, codec="mov_text", kind="text")

TIMING = re.compile(
    r"(\d\d+):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d\d+):([0-5]\d):([0-5]\d)\.(\d{3})( .*)?"
)


def read(text: str) -> list[tuple[float, float, str]]:
    """Read WebVTT strictly, as its specification has it."""
    blocks = text.split("\n\n")
    assert blocks[0].split("\n")[0] == "WEBVTT"
    found = []
    for block in blocks[1:]:
        if not block.strip():
            continue
        timing, *lines = block.strip("\n").split("\n")
        match = TIMING.fullmatch(timing)
        assert match is not None
        numbers = [int(one) for one in match.groups()[:8]]
        both = (numbers[:4], numbers[4:])
        start, stop = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in both)
        assert start < stop
        assert lines
        assert all(lines)
        assert not any("-->" in line for line in lines)
        found.append((start, stop, "\n".join(lines)))
    return found


def packet(start: float, data: bytes, duration: float | None = 2.0) -> SubtitlePacket:
    return SubtitlePacket(start=start, duration=duration, data=data)


@pytest.mark.parametrize(
    ("track", "data", "shown"),
    [
        (SRT, b"Hello\r\nthere", "Hello\nthere"),
        (SRT, b"<i>Hello</i> there", "<i>Hello</i> there"),
        (SRT, b'<font color="#fff">Hello</font>', "Hello"),
        (SRT, b"a < b & c", "a &lt; b &amp; c"),
        (SRT, b"{\\an8}Up there", "Up there"),
        (ASS, b"0,0,Default,,0,0,0,,Hello\\Nthere, you", "Hello\nthere, you"),
        (ASS, b"0,0,Default,,0,0,0,,{\\i1}Hello{\\i0} there", "<i>Hello</i> there"),
        (ASS, b"0,0,Default,,0,0,0,,{\\k20}Ka{\\k30}ra", "Kara"),
        (MOV, b"\x00\x05Hello\x00\x00\x00\x0cstyl1234", "Hello"),
    ],
)
def test_each_format_says_the_same(track, data, shown):
    ((start, stop, text),) = read(webvtt(cues_of_packets(track, [packet(61.5, data)])))
    assert (start, stop, text) == (61.5, 63.5, shown)


@pytest.mark.parametrize(
    ("track", "data"),
    [
        (SRT, b"   "),
        (MOV, b"\x00\x00"),
        (MOV, b""),
        (ASS, b"0,0,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}"),
        (ASS, b"garbage"),
    ],
)
def test_what_says_nothing_is_left_out(track, data):
    assert cues_of_packets(track, [packet(1, data)]) == []


def test_what_has_no_end_ends_with_the_next():
    cues = cues_of_packets(SRT, [packet(1, b"one", None), packet(2, b"two", None)])
    assert [(one.start, one.stop) for one in cues] == [(1, 2), (2, 6)]


def test_a_part_is_just_what_is_shown_in_it_and_a_delay_moves_it():
    cues = [Cue(start=float(at), stop=at + 1.5, text=str(at)) for at in range(10)]
    assert [text for _, _, text in read(webvtt(cues, start=4, stop=6))] == ["3", "4", "5"]
    assert [start for start, _, _ in read(webvtt(cues, delay=2.5))][:2] == [2.5, 3.5]
    assert [start for start, _, _ in read(webvtt(cues, delay=-1))][:2] == [0, 0]
    assert "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000" in webvtt(cues, mapped=True)


FILE = "1\n00:00:01,000 --> 00:00:02,500\nŽluťoučký kůň\n\n2\n00:00:03,000 --> 00:00:04,000\nÚpěl\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1250"])
def test_files_in_any_encoding(encoding):
    cues = cues_of_file(FILE.encode(encoding), language="cs")
    assert [(one.start, one.text) for one in cues] == [(1.0, "Žluťoučký kůň"), (3.0, "Úpěl")]


@pytest.mark.parametrize(
    ("language", "encoding", "text"),
    [
        ("ru", "cp1251", "Привет, как дела?"),
        ("el", "cp1253", "Καλημέρα κόσμε"),
        ("ja", "cp932", "こんにちは、世界"),
        ("zh", "gb18030", "你好世界"),
        ("ko", "cp949", "안녕하세요"),
        ("he", "cp1255", "שלום עולם"),
        ("fr", "cp1252", "Où êtes-vous allés, déjà à l'été, près de la forêt ? Ça va très bien."),
    ],
)
def test_a_language_tells_the_encoding(language, encoding, text):
    assert decoded(text.encode(encoding), language=language) == text


@pytest.mark.parametrize(
    "broken",
    [
        "00:00:01,000 --> 00:00:02,000\nno number\n\n00:00:03,000 --> 00:00:04,000\nneither\n",
        "1\n00:00:01.000 --> 00:00:02.000\ndots\n\n2\n00:00:03.000 --> 00:00:04.000\ndots\n",
        "1\r\n00:00:01,000 --> 00:00:02,000\r\n1\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\n2",
        "2\n00:00:03,000 --> 00:00:04,000\nlater\n\n1\n00:00:01,000 --> 00:00:02,000\nearlier\n",
        "1\n00:00:01,000 --> 00:00:02,000\none\n2\n00:00:03,000 --> 00:00:04,000\nno empty line\n",
    ],
)
def test_srt_that_is_broken_as_usual(broken):
    assert [one.start for one in cues_of_file(broken.encode())] == [1.0, 3.0]


def test_other_formats_of_files():
    ass = ass_file(ASS, [packet(1, b"0,0,Default,,0,0,0,,Hi")])
    vtt = "WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n"
    micro = "{1}{1}23.976\n{24}{48}Hi\n"
    for text in (ass, vtt, micro):
        (cue,) = cues_of_file(text.encode())
        assert (round(cue.start), cue.text) == (1, "Hi")


@pytest.mark.parametrize("data", [b"\x00" * 100, b"just words", bytes(range(256)) * 4])
def test_what_is_no_file_of_subtitles_is_refused(data):
    with pytest.raises(BadSubtitlesError):
        cues_of_file(data)


def test_ass_is_the_file_that_it_was():
    text = ass_file(ASS, [packet(3661.25, b"7,0,Default,,0,0,0,,{\\i1}Hi, you")])
    assert text.startswith("[Script Info]")
    assert "Dialogue: 0,1:01:01.25,1:01:03.25,Default,,0,0,0,,{\\i1}Hi, you" in text
    assert [one.text for one in cues_of_file(text.encode())] == ["<i>Hi, you</i>"]


@given(
    st.sampled_from([SRT, ASS, MOV]),
    st.lists(st.tuples(st.floats(0, 1e5), st.none() | st.floats(0, 100), st.binary(max_size=80))),
)
def test_whatever_a_container_holds_becomes_webvtt(track, events):
    packets = [packet(start, data, duration) for start, duration, data in events]
    read(webvtt(cues_of_packets(track, packets)))


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_whatever_a_file_holds_becomes_webvtt_or_is_refused(data):
    try:
        cues = cues_of_file(data)
    except BadSubtitlesError:
        return
    read(webvtt(cues))


# --- which there are, and which are shown ---------------------------------------------------------


def test_what_there_is_to_choose_from():
    files = ("Film/Film.mkv", "Film/Film.de.srt", "Film/Subs/Film.fr.forced.srt", "Film/readme.txt")
    layout = Layout(
        name="Film",
        piece_length=2**14,
        total_size=400,
        files=tuple(
            SourceFile(index=number, name=name, size=100, offset=100 * number)
            for number, name in enumerate(files)
        ),
    )
    found = choices(rich(), layout, 0)
    assert [(one.index, one.label, one.is_text) for one in found] == [
        (3, "English", True),
        (4, "Deutsch (forced)", True),
        (5, "Français", False),
        (1_000_001, "Deutsch", True),
        (1_000_002, "Français (forced)", True),
    ]


def choice(language: str, **more: bool) -> Choice:
    flags = {"forced": False, "for_deaf": False, "is_text": True, **more}
    return Choice(index=0, language=language, label=f"{language} {more}", **flags)


@pytest.mark.parametrize(
    ("heard", "wanted", "shown"),
    [
        ("en", (), "en {'forced': True}"),
        ("fr", (), None),
        ("en", ("en",), "en {'forced': True}"),
        ("ja", ("en",), "en {}"),
        ("en", ("de", "en"), "de {'for_deaf': True}"),
        (None, ("fr",), None),
    ],
)
def test_what_is_shown_at_first(heard, wanted, shown):
    there = [
        choice("en", for_deaf=True),
        choice("en"),
        choice("en", forced=True),
        choice("de", for_deaf=True),
        choice("fr", is_text=False),
    ]
    found = shown_at_first(there, heard=heard, read=wanted)
    assert (found.label if found else None) == shown
