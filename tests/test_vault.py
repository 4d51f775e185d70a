"""Downloads that nobody can read without the key, in either of two ways, by the real programs."""

import asyncio
import base64
import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from miauflixd.vault import mounts
from miauflixd.vault.backend import Owner
from miauflixd.vault.errors import (
    NoVaultError,
    PlainFilesError,
    WrongVaultKeyError,
)
from miauflixd.vault.moving import move_in
from miauflixd.vault.vault import Encryption, Vault, choose
from tests.running import MIB, house, seeded, sha256

KEY, ANOTHER_KEY = b"k" * 32, b"a" * 32
NAME, CONTENT = "0123456789abcdef", b"what nobody is to read" * 1000


# --- both ways, the same promises -----------------------------------------------------------------


@pytest.fixture(params=["gocryptfs", "fscrypt"])
def data(request, tmp_path):
    """Return a data directory in which downloads can be encrypted, and how."""
    if request.param == "fscrypt":
        with small_disk(tmp_path, "-O", "encrypt") as disk:
            yield disk, "fscrypt"
    else:
        yield tmp_path, "gocryptfs"


@contextmanager
def small_disk(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a small ext4 of our own."""
    image, disk = folder / "image", folder / "disk"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", *options, image], check=True)
    disk.mkdir()
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def prepared(folder: Path, encryption: Encryption, *, moving: bool = False) -> Vault:
    (folder / "downloads").mkdir(mode=0o700, exist_ok=True)
    backend = choose(encryption, folder)
    assert backend is not None
    return Vault.prepare(backend, data=folder, owner=None, moving=moving)


@contextmanager
def opened(folder: Path, encryption: Encryption, key: bytes = KEY) -> Iterator[Path]:
    vault = prepared(folder, encryption)
    vault.unlock(key)
    try:
        yield vault.folder
    finally:
        vault.lock()


def put(folder: Path) -> None:
    (folder / NAME).mkdir()
    (folder / NAME / "0").write_bytes(CONTENT)


def everything_below(folder: Path) -> tuple[list[str], bytes]:
    """Return all names and all bytes that whoever has the disk finds."""
    names: list[str] = []
    contents: list[bytes] = []
    for place, folders, files in os.walk(folder):
        names += [*folders, *files]
        for file in files:
            try:
                contents.append(Path(place, file).read_bytes())
            except OSError:  # as fscrypt answers without the key
                continue
    return names, b"".join(contents)


@pytest.mark.root
def test_what_is_locked_has_neither_names_nor_bytes(data):
    folder, encryption = data
    with opened(folder, encryption) as downloads:
        put(downloads)
        assert (downloads / NAME / "0").read_bytes() == CONTENT
    names, contents = everything_below(folder)
    assert NAME not in names
    assert b"what nobody is to read" not in contents
    with opened(folder, encryption) as downloads:
        assert (downloads / NAME / "0").read_bytes() == CONTENT


@pytest.mark.root
def test_the_raw_disk_has_none_of_it_either(tmp_path):
    with small_disk(tmp_path, "-O", "encrypt") as disk, opened(disk, "fscrypt") as downloads:
        put(downloads)
    raw = (tmp_path / "image").read_bytes()
    assert b"what nobody is to read" not in raw
    assert NAME.encode() not in raw


@pytest.mark.root
def test_another_key_opens_nothing_and_breaks_nothing(data):
    folder, encryption = data
    with opened(folder, encryption) as downloads:
        put(downloads)
    with (
        pytest.raises(WrongVaultKeyError, match="another key"),
        opened(folder, encryption, ANOTHER_KEY),
    ):
        pass
    with opened(folder, encryption) as downloads:
        assert (downloads / NAME / "0").read_bytes() == CONTENT


@pytest.mark.root
def test_downloads_in_the_open_are_refused_and_brought_in_whole(data):
    folder, encryption = data
    plain = folder / "downloads.plain"
    (folder / "downloads").mkdir()
    put(folder / "downloads")
    with pytest.raises(PlainFilesError, match="vault init"):
        prepared(folder, encryption)
    (folder / "downloads").rename(plain)
    with (plain / NAME / "1").open("wb") as holed:
        holed.seek(8 * MIB)
        holed.write(b"the end")
    with pytest.raises(PlainFilesError):  # begun, and not over
        prepared(folder, encryption)
    vault = prepared(folder, encryption, moving=True)
    vault.unlock(KEY)
    assert move_in(plain, vault.folder) == 2
    assert (vault.folder / NAME / "0").read_bytes() == CONTENT
    moved = vault.folder / NAME / "1"
    assert moved.read_bytes() == bytes(8 * MIB) + b"the end"
    assert moved.stat().st_blocks * 512 < MIB
    vault.lock()
    assert not plain.exists()


@pytest.mark.root
def test_auto_takes_the_kernel_where_it_can_and_keeps_what_was_taken(tmp_path):
    with small_disk(tmp_path, "-O", "encrypt") as disk:
        with opened(disk, "auto"):
            pass
        assert json.loads(command(disk, "vault", "status", "--json"))["backend"] == "fscrypt"
        with pytest.raises(NoVaultError, match="encrypted by fscrypt before"):
            prepared(disk, "gocryptfs")
        with pytest.raises(NoVaultError, match="encrypted by fscrypt before"):
            choose("off", disk)


@pytest.mark.root
def test_a_disk_that_was_not_made_for_it_says_what_would_help(tmp_path):
    with small_disk(tmp_path) as disk:
        (disk / "downloads").mkdir()
        with pytest.raises(NoVaultError, match="tune2fs -O encrypt"):
            choose("fscrypt", disk)


@pytest.mark.root
def test_without_any_way_there_is_no_start(tmp_path, monkeypatch):
    with small_disk(tmp_path) as disk:
        (disk / "downloads").mkdir()
        with monkeypatch.context() as patch, pytest.raises(NoVaultError) as refused:
            patch.setenv("PATH", "/nowhere")
            choose("auto", disk)
    said = str(refused.value)
    assert "apt install gocryptfs" in said
    assert "tune2fs" in said
    assert 'storage.encryption = "off"' in said


# --- gocryptfs as root mounts it for somebody else ------------------------------------------------


@pytest.mark.root
def test_whoever_is_not_the_owner_sees_nothing_of_an_open_vault(tmp_path):
    owner = pwd.getpwnam("nobody")
    downloads = tmp_path / "downloads"
    downloads.mkdir(mode=0o700)
    for folder in (tmp_path, downloads):
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o711)
    backend = choose("gocryptfs", tmp_path)
    assert backend is not None
    vault = Vault.prepare(backend, data=tmp_path, owner=Owner(owner.pw_uid, owner.pw_gid))
    vault.unlock(KEY)
    try:
        put(downloads)
        others = subprocess.run(
            ["setpriv", "--reuid=1", "--regid=1", "--clear-groups", "cat", downloads / NAME / "0"],
            capture_output=True,
            check=False,
        )
        assert others.returncode
        assert not others.stdout
    finally:
        vault.lock()
    assert mounts.kind_at(downloads) is None


# --- a daemon over it -----------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.daemon
@pytest.mark.swarm
@pytest.mark.timeout(90)
async def test_a_film_out_of_a_swarm_plays_from_the_vault_and_again_after_a_restart(tmp_path):
    async with (
        seeded(tmp_path, size=6 * MIB + 5) as (content, torrent, _),
        house(tmp_path, encryption="gocryptfs") as home,
    ):
        source_id = await home.add(torrent)
        assert sha256(await home.read(source_id)) == sha256(content)
        downloads = next(tmp_path.rglob("gocryptfs.conf")).parent.parent / "downloads"
        assert (downloads / source_id).is_dir()
    names, contents = everything_below(downloads.parent)
    assert source_id not in names
    assert content[:1024] not in contents
    assert mounts.kind_at(downloads) is None
    # Nobody is there who could send it again.
    async with house(tmp_path, encryption="gocryptfs") as home:
        assert sha256(await home.read(source_id)) == sha256(content)


@pytest.mark.root
@pytest.mark.daemon
@pytest.mark.timeout(60)
async def test_without_gocryptfs_the_daemon_ends_and_says_so(tmp_path):
    with pytest.raises(ExceptionGroup) as ended:
        async with house(tmp_path, encryption="gocryptfs"):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    line = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                if line.startswith(b"gocryptfs\0") and str(tmp_path).encode() in line:
                    os.kill(int(process.name), signal.SIGKILL)
            await asyncio.sleep(20)
    (died,) = ended.value.exceptions
    assert "gocryptfs, which shows what is in the vault, has ended (Killed)" in str(died)


def command(folder: Path, *arguments: str) -> str:
    settings = folder.parent / "miauflixd.toml"
    settings.write_text(
        f'[storage]\npath = "{folder}"\n[service]\nuser = ""\n[vpn]\nmode = "off"\n'
    )
    ran = subprocess.run(
        [sys.executable, "-m", "miauflixd", "--config", settings, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.root
def test_the_command_makes_shows_and_locks_it(tmp_path):
    folder = tmp_path / "data"
    assert "no vault yet" in command(folder, "vault", "status")
    (folder / "downloads").mkdir(parents=True)
    put(folder / "downloads")
    assert "1 files were brought into it" in command(folder, "vault", "init")
    assert "is locked" in command(folder, "vault", "status")
    assert NAME not in everything_below(folder)[0]
    vault = prepared(folder, "auto")
    key = (folder / "sealing.key").read_text()
    vault.unlock(base64.b64decode(key))
    assert "is open in" in command(folder, "vault", "status")
    assert (folder / "downloads" / NAME / "0").read_bytes() == CONTENT
    assert "is locked" in command(folder, "vault", "lock")
    assert mounts.kind_at(folder / "downloads") is None
    vault.lock()
