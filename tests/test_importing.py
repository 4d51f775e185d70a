"""What somebody is told of files before anything of them is stored."""

import io
import os
import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miauflixd.tunnel.importing import (
    COUNT_LIMIT,
    ZIP_LIMIT,
    File,
    Preview,
    preview,
    read_folder,
    specs,
)

CORPUS = Path(__file__).parent / "data" / "wireguard"
PROTON = (CORPUS / "proton.conf").read_bytes()
MULLVAD = (CORPUS / "mullvad-se-mma-wg-001.conf").read_bytes()


def archive(files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as opened:
        for name, content in files.items():
            opened.writestr(zipfile.ZipInfo(name), content, method)
    return packed.getvalue()


def of(name: str, content: bytes) -> tuple[Preview, ...]:
    return preview([File(name=name, content=content)])


def one(name: str, content: bytes) -> Preview:
    (found,) = of(name, content)
    return found


# --- one file -------------------------------------------------------------------------------------


def test_a_preview_says_whose_server_it_is_and_what_is_left_out():
    found = one("hooks.conf", (CORPUS / "wg-quick-with-hooks.conf").read_bytes())

    assert (found.name, found.provider, found.endpoint) == ("hooks", None, "exit.example.org:41414")
    assert found.used == (
        "PrivateKey",
        "Address = 10.192.122.1/24, 10.10.0.1/16",
        "MTU = 1420",
        "PublicKey",
        "AllowedIPs = 0.0.0.0/0",
        "Endpoint = exit.example.org:41414",
        "PersistentKeepalive = 25",
    )
    assert [ignored.key for ignored in found.ignored] == [
        *("SaveConfig", "ListenPort", "FwMark", "Table"),
        *("PreUp", "PostUp", "PostUp", "PreDown", "PostDown", "[Peer]"),
    ]
    assert found.refused is None


def test_a_preview_shows_no_key():
    previews = preview(File(name=path.name, content=path.read_bytes()) for path in CORPUS.iterdir())
    said = repr([(found.used, found.ignored, found.refused, found.spec) for found in previews])

    assert len(previews) == 22
    for found in previews:
        if found.spec is not None:
            assert found.spec.private_key.reveal() not in said


def test_a_preview_of_a_provider_s_file_guesses_provider_country_and_forwarding():
    found = one("x.conf", PROTON)

    assert (found.name, found.provider, found.country) == ("CH#61", "proton", "CH")
    assert found.port_forwarding
    assert found.endpoint == "203.0.113.61:51820"


def test_what_is_refused_says_why_and_where():
    found = one("home.conf", (CORPUS / "refused-fritzbox.conf").read_bytes())

    assert (found.name, found.line, found.spec) == ("home", 10, None)
    assert "192.168.178.0/24" in (found.refused or "")


def test_a_name_is_only_shown_and_without_what_could_deceive():
    found = one("../../\x1b[31m\u202eetc/\u202epasswd\x00.conf", PROTON)

    assert found.file == "passwd.conf"


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\0", os.urandom(200), b"PK"])
def test_what_is_no_file_of_wireguard_is_refused(content):
    assert one("a.conf", content).refused


# --- several --------------------------------------------------------------------------------------


def test_files_are_a_pool_in_which_one_bad_one_spoils_no_other():
    found = preview(
        [
            File(name="a.conf", content=PROTON),
            File(name="b.conf", content=b"nonsense"),
            File(name="c.conf", content=MULLVAD),
        ]
    )

    assert [bool(each.refused) for each in found] == [False, True, False]
    assert [spec.provider for spec in specs(found)] == ["proton", "mullvad"]


def test_the_same_server_with_the_same_key_is_stored_once():
    found = preview(
        [
            File(name="first.conf", content=MULLVAD),
            File(name="again.conf", content=MULLVAD.replace(b"\n", b"\r\n") + b"# later\n"),
            File(name="other.conf", content=MULLVAD.replace(b"203.0.113.11", b"203.0.113.12")),
        ]
    )

    assert [each.duplicate_of for each in found] == [None, "first.conf", None]
    assert [spec.host for spec in specs(found)] == ["203.0.113.11", "203.0.113.12"]


def test_more_files_than_any_provider_has_are_cut():
    found = preview(File(name="a.conf", content=b"") for _ in range(COUNT_LIMIT + 50))

    assert len(found) == COUNT_LIMIT + 1
    assert "more than 2000 files" in (found[-1].refused or "")


# --- archives -------------------------------------------------------------------------------------


def test_an_archive_is_a_pool_in_the_order_of_its_names():
    found = of(
        "all.zip",
        archive(
            {
                "wg/se/z.conf": PROTON,
                "wg/ch/a.CONF": MULLVAD,
                "wg/": b"",
                "readme.txt": b"hello",
                "__MACOSX/wg/se/._z.conf": b"\0\x05\x16\x07",
                "wg\\windows.conf": b"nonsense",
            }
        ),
    )

    assert [each.file for each in found] == ["a.CONF", "z.conf", "windows.conf"]
    assert [bool(each.refused) for each in found] == [False, False, True]


def test_names_that_lead_elsewhere_lead_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = of("all.zip", archive({"../../evil.conf": PROTON, "/etc/evil2.conf": MULLVAD}))

    assert {each.file for each in found} == {"evil.conf", "evil2.conf"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (archive({}), "no `.conf` file"),
        (archive({"a.txt": b"x"}), "no `.conf` file"),
        (archive({"a.conf": PROTON})[:-30], "damaged"),
        (b"PK\x03\x04" + b"x" * 100, "damaged"),
    ],
    ids=["empty", "nothing for us", "cut short", "no archive"],
)
def test_an_archive_of_nothing_is_refused(content, says):
    assert says in (one("all.zip", content).refused or "")


def test_an_archive_of_too_many_files_is_not_opened():
    content = archive({f"{n}.conf": b"" for n in range(COUNT_LIMIT + 1)})

    assert "more than 2000 files" in (one("all.zip", content).refused or "")


def test_an_archive_that_is_too_large_is_not_opened():
    content = archive({"a.conf": os.urandom(ZIP_LIMIT)}, method=zipfile.ZIP_STORED)

    assert "larger than 8 MiB" in (one("all.zip", content).refused or "")


def test_a_bomb_is_not_unpacked():
    huge = {f"{n:04}.conf": b"#" * 262_144 for n in range(3)}
    huge["large.conf"] = b"#" * 2**24
    found = of("bomb.zip", archive(huge))

    assert ["times smaller" in (each.refused or "") for each in found] == [True] * 3 + [False]
    assert "larger than 256 KiB" in (found[-1].refused or "")


def test_no_more_is_unpacked_than_fits():
    # Text that packs about four times smaller, so that only the sum is suspicious.
    chance = random.Random(1)
    text = b"#" + bytes(chance.choice(b"0123456789abcdef\n") for _ in range(262_000))
    content = archive({f"{n:03}.conf": text for n in range(140)})
    if len(content) > ZIP_LIMIT:
        content = archive({f"{n:03}.conf": (b"#" + text[:2000]) * 130 for n in range(140)})
    found = of("all.zip", content)

    assert len(found) == 140
    assert sum("more than 32 MiB" in (each.refused or "") for each in found) > 5


def test_an_entry_that_lies_about_its_size_is_read_no_further_than_allowed():
    honest = archive({"a.conf": b"#" * 300 + os.urandom(3000).hex().encode() * 60})
    size = (300 + 360_000).to_bytes(4, "little")
    assert size in honest
    found = one("all.zip", honest.replace(size, (1000).to_bytes(4, "little")))

    assert found.refused


def test_a_locked_archive_says_so():
    content = bytearray(archive({"a.conf": PROTON}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    found = one("all.zip", bytes(content))

    assert "password" in (found.refused or "")


def test_a_way_of_packing_that_takes_much_memory_is_not_unpacked():
    found = one("all.zip", archive({"a.conf": PROTON}, method=zipfile.ZIP_LZMA))

    assert "unusual way" in (found.refused or "")


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_any_damaged_archive_is_refused_or_read(data):
    content = bytearray(archive({"a.conf": PROTON, "b/c.conf": MULLVAD}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    for found in of("all.zip", bytes(content)):
        assert (found.refused is None) == (found.spec is not None)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_anything_that_begins_like_an_archive_is_refused(rest):
    assert one("all.zip", b"PK\x03\x04" + rest).refused


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_is_a_pool(tmp_path):
    (tmp_path / "b.conf").write_bytes(PROTON)
    (tmp_path / "a.zip").write_bytes(archive({"inside.conf": MULLVAD}))
    (tmp_path / "notes.txt").write_bytes(b"x")
    (tmp_path / "folder.conf").mkdir()
    os.mkfifo(tmp_path / "pipe.conf")
    found = preview(read_folder(tmp_path))

    assert [each.file for each in found] == ["inside.conf", "b.conf"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path / "nowhere")


def test_of_a_large_file_no_more_is_read_than_is_accepted(tmp_path):
    with (tmp_path / "huge.conf").open("wb") as huge:
        huge.truncate(2**33)
    (found,) = read_folder(tmp_path)

    assert len(found.content) == ZIP_LIMIT + 1
    assert "larger than 256 KiB" in (preview([found])[0].refused or "")
