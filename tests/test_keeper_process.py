"""The keeper's process, from the house's side."""

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from miauflixd.errors import SettingsError
from miauflixd.keeper.messages import Configure
from miauflixd.tunnel import keeper_process
from miauflixd.tunnel.keeper_handle import KeeperDiedError, KeeperHandle, kill
from miauflixd.tunnel.keeper_process import EngineNotStartedError, KeeperProcess

CONFIGURE = Configure(namespace="test", user="", resolvers=[], hidden="/a", shown="/a/b")


@pytest.fixture
def diary(tmp_path):
    return tmp_path / "diary"


@pytest.fixture
def start(diary):
    def start(mode: str = "works") -> KeeperHandle:
        return KeeperHandle.start([sys.executable, "-m", "tests.keeper_program", mode, str(diary)])

    return start


@asynccontextmanager
async def talking(handle):
    with handle:
        async with KeeperProcess.open(handle, CONFIGURE) as keeper:
            yield keeper


def died(error: BaseException) -> str:
    """Return what is said of a death that ended a block."""
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, KeeperDiedError)
    return str(error)


def test_a_keeper_that_nobody_talks_to_ends(start, diary):
    with start() as handle:
        assert handle.pid
    assert handle.process.returncode == 0
    assert diary.read_text() == "left alone"


def test_a_keeper_that_cannot_be_started_is_an_error_with_a_reason(tmp_path):
    with pytest.raises(KeeperDiedError, match=r"cannot be started \(No such file or directory\)"):
        KeeperHandle.start([str(tmp_path / "nothing")])


async def test_it_is_stopped_at_the_end(start, diary):
    handle = start()
    async with talking(handle) as keeper:
        assert keeper.pid == handle.pid
    assert handle.process.returncode == 0
    assert diary.read_text() == "stopped"


async def test_it_knows_nothing_of_our_environment(start, monkeypatch, tmp_path):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("MIAUFLIX_VPN_NORDVPN_TOKEN", "hush")
    handle = start()
    async with talking(handle):
        environment = Path(f"/proc/{handle.pid}/environ").read_bytes()
    assert b"hush" not in environment
    assert b"CREDENTIALS" not in environment


async def test_what_is_missing_on_the_machine_is_a_mistake_in_the_settings(start, diary):
    with pytest.raises(SettingsError) as caught:
        async with talking(start("refuses")):
            pass
    assert str(caught.value).splitlines() == [
        'vpn.mode: "required" is not possible here: There is no TUN.',
        'vpn.mode: "required" is not possible here: Nor a test.',
    ]
    assert diary.read_text() == "stopped"


async def test_a_keeper_that_dies_at_its_start_is_an_error_with_its_status(start):
    with pytest.raises(KeeperDiedError, match="exit status 3"):
        async with talking(start("dies at once")):
            pass


async def test_a_keeper_that_dies_ends_the_block(start):
    with pytest.raises(ExceptionGroup) as caught:
        async with talking(start("dies")):
            await asyncio.Event().wait()
    assert died(caught.value) == "The keeper died: exit status 3"


async def test_a_killed_keeper_ends_the_block(start):
    with pytest.raises(ExceptionGroup) as caught:
        async with talking(start()) as keeper:
            os.kill(keeper.pid, 9)
            await asyncio.Event().wait()
    assert died(caught.value) == "The keeper died: signal 9"


async def test_a_keeper_that_does_not_stop_is_killed(start, monkeypatch, caplog):
    monkeypatch.setattr(keeper_process, "END_WITHIN", 0.1)
    handle = start("does not stop")
    async with talking(handle):
        pass
    assert handle.process.returncode == -9
    assert "does not end by itself" in caplog.text


def test_a_keeper_that_may_not_be_killed_is_left_to_systemd(caplog):
    class Privileged(subprocess.Popen[bytes]):
        def send_signal(self, sig: int) -> None:
            raise PermissionError

    with Privileged(["sleep", "0.01"]) as process:
        kill(process)
    assert "left to systemd" in caplog.text


async def test_the_engine_is_started_on_the_socket_that_is_handed_over(start):
    ours, theirs = socket.socketpair()
    with ours:
        async with talking(start()) as keeper:
            with theirs:
                engine = await keeper.launch(theirs)
            assert (engine.pid, engine.returncode) == (4242, None)
            ours.settimeout(5)
            assert ours.recv(100) == b"hello from inside"
            engine.kill()
            assert await engine.wait() == -9
            assert engine.returncode == -9
            engine.kill()  # again, which changes nothing
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(keeper.events())


async def test_an_engine_that_ends_at_its_start_is_an_error(start):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with talking(start("starts no engine")) as keeper:
            with pytest.raises(EngineNotStartedError, match="exit status 1"):
                await keeper.launch(theirs)


async def test_nobody_waits_for_an_engine_whose_keeper_has_died(start):
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ExceptionGroup) as caught:
        async with talking(start("dies with the engine")) as keeper:
            engine = await keeper.launch(theirs)
            try:
                await asyncio.Event().wait()
            finally:
                async with asyncio.timeout(5):
                    assert await engine.wait() == 255
    assert died(caught.value) == "The keeper died: exit status 3"
