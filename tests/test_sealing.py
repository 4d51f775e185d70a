"""Sealing, and where the key comes from."""

import base64
import os
import threading
from pathlib import Path

import pytest

from miauflixd.errors import SettingsError
from miauflixd.runtime.secrets import Secret
from miauflixd.vault.keys import master_key
from miauflixd.vault.sealing import Sealer, UnsealError

KEY = bytes(range(32))


@pytest.fixture
def sealer():
    return Sealer(KEY)


def file_of(folder: Path) -> Path:
    return folder / "sealing.key"


@pytest.mark.parametrize("value", [b"", b"a", b"magnet:?xt=urn:btih:" + b"0" * 40, bytes(100_000)])
def test_what_was_sealed_can_be_unsealed(sealer, value):
    assert sealer.unseal(sealer.seal(value, purpose="test"), purpose="test") == value


def test_a_sealed_value_does_not_show_what_is_in_it_nor_that_it_is_the_same_again(sealer):
    first = sealer.seal(b"something private", purpose="test")
    second = sealer.seal(b"something private", purpose="test")

    assert b"private" not in first
    assert first[1:13] != second[1:13]
    assert first[13:] != second[13:]


def test_every_changed_bit_is_noticed(sealer):
    sealed = sealer.seal(b"value", purpose="test")

    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnsealError):
            sealer.unseal(bytes(changed), purpose="test")


def test_every_cut_is_noticed(sealer):
    sealed = sealer.seal(b"value", purpose="test")

    for length in range(len(sealed)):
        with pytest.raises(UnsealError):
            sealer.unseal(sealed[:length], purpose="test")
    with pytest.raises(UnsealError):
        sealer.unseal(sealed + b"\0", purpose="test")


def test_a_value_opens_for_its_own_purpose_only(sealer):
    with pytest.raises(UnsealError, match="another key or for another purpose"):
        sealer.unseal(sealer.seal(b"value", purpose="here"), purpose="there")


def test_a_value_opens_with_its_own_key_only(sealer):
    with pytest.raises(UnsealError, match="another key"):
        Sealer(bytes(32)).unseal(sealer.seal(b"value", purpose="test"), purpose="test")


def test_a_fingerprint_finds_its_value_again(sealer):
    assert sealer.fingerprint(b"v", purpose="p") == Sealer(KEY).fingerprint(b"v", purpose="p")


def test_a_fingerprint_is_another_for_another_value_purpose_or_key(sealer):
    fingerprints = {
        sealer.fingerprint(b"v", purpose="p"),
        sealer.fingerprint(b"w", purpose="p"),
        sealer.fingerprint(b"v", purpose="q"),
        sealer.fingerprint(b"", purpose="pv"),
        sealer.fingerprint(b"pv", purpose=""),
        Sealer(bytes(32)).fingerprint(b"v", purpose="p"),
    }

    assert len(fingerprints) == 6


def test_what_is_sealed_today_is_unsealed_by_later_versions(sealer):
    """This one was made by the first version: when it no longer opens, nobody's database does."""
    sealed = bytes.fromhex("014e0d53d7751e6f3f45ca524ae8dea0f3b2d3008a9c02fc9e3389a213afb5c4baa3e0")
    fingerprint = bytes.fromhex("077737dbd1051db0798c61f0dbdb2f3489eb9c29445ffaebe0983e21bf36c7ee")

    assert sealer.unseal(sealed, purpose="test") == b"pinned"
    assert sealer.fingerprint(b"pinned", purpose="test") == fingerprint


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length_makes_no_sealer(size):
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper(),
        base64.b64encode(KEY).decode(),
        base64.b64encode(KEY).decode().rstrip("="),
        f"  {base64.b64encode(KEY).decode()}\n",
    ],
)
def test_a_key_that_is_handed_over_is_hexadecimal_or_base64(tmp_path, text):
    assert master_key(Secret(text), folder=tmp_path) == KEY
    assert not file_of(tmp_path).exists()


def test_both_alphabets_of_base64_are_read(tmp_path):
    key = b"\xfb\xff" * 16

    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert master_key(Secret(encode(key).decode()), folder=tmp_path) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "correct horse battery staple",
        KEY.hex()[:-1],
        KEY.hex() + "0",
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes(33)).decode(),
        "ä" * 32,
    ],
)
def test_something_else_than_a_key_is_refused_without_being_shown(tmp_path, text):
    with pytest.raises(SettingsError, match=r"storage\.sealing_key must be 32 bytes") as refusal:
        master_key(Secret(text), folder=tmp_path)

    assert not text or text not in str(refusal.value)


def test_a_key_file_is_made_once_and_for_its_owner_only(tmp_path):
    folder = tmp_path / "data"

    first = master_key(None, folder=folder)

    assert len(first) == 32
    assert file_of(folder).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["sealing.key"]
    assert master_key(None, folder=folder) == first
    assert master_key(None, folder=tmp_path / "other") != first


def test_the_content_of_the_key_file_can_be_handed_over_instead(tmp_path):
    key = master_key(None, folder=tmp_path)

    assert master_key(Secret(file_of(tmp_path).read_text()), folder=tmp_path) == key


def test_two_that_start_at_once_agree_on_one_key(tmp_path):
    barrier = threading.Barrier(8)
    keys = []

    def start():
        barrier.wait()
        keys.append(master_key(None, folder=tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sealing.key"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602])
def test_a_key_file_that_others_can_reach_is_refused(tmp_path, mode):
    master_key(None, folder=tmp_path)
    file_of(tmp_path).chmod(mode)

    with pytest.raises(SettingsError, match=r"is open to others.*chmod 600"):
        master_key(None, folder=tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"short", bytes(31), bytes(33), b"A" * 5000, b"\xff" * 44]
)
def test_a_key_file_that_holds_no_key_is_refused_and_kept(tmp_path, content):
    file_of(tmp_path).write_bytes(content)
    file_of(tmp_path).chmod(0o600)

    with pytest.raises(SettingsError, match="does not hold a key of 32 bytes"):
        master_key(None, folder=tmp_path)

    assert file_of(tmp_path).read_bytes() == content


def test_a_pipe_or_a_folder_in_the_place_of_the_key_file_is_refused(tmp_path):
    os.mkfifo(file_of(tmp_path), 0o600)
    with pytest.raises(SettingsError, match="is not a file"):
        master_key(None, folder=tmp_path)

    file_of(tmp_path).unlink()
    file_of(tmp_path).mkdir()
    with pytest.raises(SettingsError):
        master_key(None, folder=tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"file/data/sealing.key cannot be read or written"):
        master_key(None, folder=tmp_path / "file" / "data")
