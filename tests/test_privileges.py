"""Privileges that were given up do not come back; each test asks a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from miauflixd.errors import SettingsError
from miauflixd.runtime import privileges
from miauflixd.runtime.privileges import PrivilegesError

ROOT = Path(__file__).parent.parent

NOBODY = 65534

root = pytest.mark.root


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder that everybody can look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "secret").write_text("root's own")
        (path / "secret").chmod(0o600)
        shutil.copy("/usr/bin/id", path / "rootly")
        (path / "rootly").chmod(0o4755)
        yield path


def child(script: str, *arguments: object) -> Any:
    """Run a script in a process of its own, and return what it has to tell."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        # Without that of the tests: it would measure, and write where nobody may.
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


ATTEMPTS = """
import ctypes, json, os, socket, subprocess, sys, threading
from pathlib import Path
from miauflixd.runtime import privileges

shelf = Path(sys.argv[1])
privileges.drop("nobody")

def outcome(attempt):
    try:
        return str(attempt())
    except Exception as error:
        return type(error).__name__

everybody_waits = threading.Event()
for _ in range(3):
    threading.Thread(target=everybody_waits.wait, daemon=True).start()

def statuses():
    for thread in Path("/proc/self/task").iterdir():
        lines = (line.partition(":") for line in (thread / "status").read_text().splitlines())
        yield {name: value.split() for name, _, value in lines}

def run(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()

told = {
    "threads": [
        {name: status[name] for name in (
            "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Uid", "Gid"
        )} for status in statuses()
    ],
    "setuid": outcome(lambda: os.setuid(0)),
    "setgid": outcome(lambda: os.setgid(0)),
    "setgroups": outcome(lambda: os.setgroups([0])),
    "secret": outcome((shelf / "secret").read_text),
    "chroot": outcome(lambda: os.chroot("/")),
    "raw socket": outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    "capabilities": outcome(lambda: privileges.keep_only(["CAP_CHOWN"])),
    "again": outcome(lambda: privileges.drop("nobody")),
    "setuid program": run(str(shelf / "rootly"), "-u"),
    "memory": run("cat", f"/proc/{os.getpid()}/environ"),
}
print(json.dumps(told))
"""


@root
def test_who_became_an_ordinary_user_cannot_go_back(shelf):
    as_nobody = subprocess.run(
        [shelf / "rootly", "-u"], user=NOBODY, capture_output=True, text=True, check=True
    )
    if as_nobody.stdout.strip() != "0":
        pytest.skip("here no program has the setuid bit")
    told = child(ATTEMPTS, shelf)
    nothing = ["0000000000000000"]
    assert (
        told.pop("threads")
        == [
            {
                **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), nothing),
                "NoNewPrivs": ["1"],
                "Uid": [str(NOBODY)] * 4,
                "Gid": [str(NOBODY)] * 4,
            }
        ]
        * 4
    )
    assert told == {
        "setuid": "PermissionError",
        "setgid": "PermissionError",
        "setgroups": "PermissionError",
        "secret": "PermissionError",
        "chroot": "PermissionError",
        "raw socket": "PermissionError",
        "capabilities": "PrivilegesError",
        "again": "PrivilegesError",
        "setuid program": str(NOBODY),
        "memory": "",
    }


KEEPING = """
import json, os, subprocess, sys
from miauflixd.runtime import privileges

privileges.keep_only(["CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"])

def outcome(attempt):
    try:
        return str(attempt())
    except Exception as error:
        return type(error).__name__

def capabilities(text):
    return {line.split()[0]: line.split()[1] for line in text.splitlines() if line[:3] == "Cap"}

command = ["cat", "/proc/self/status"]
print(json.dumps({
    "own": capabilities(open("/proc/self/status").read()),
    "child's": capabilities(subprocess.run(command, capture_output=True, text=True).stdout),
    "chown": outcome(lambda: os.chown(sys.argv[1], 1, 1)),
    "chroot": outcome(lambda: os.chroot("/")),
    "more": outcome(lambda: privileges.keep_only(["CAP_NET_ADMIN", "CAP_SYS_ADMIN"])),
}))
"""


@root
def test_only_the_named_capabilities_are_kept_also_by_programs_that_are_executed(tmp_path):
    told = child(KEEPING, tmp_path)
    held, none = f"{1 << 12 | 1 << 2:016x}", f"{0:016x}"
    for whose in ("own", "child's"):
        assert told.pop(whose) == {
            "CapInh:": none,
            "CapPrm:": held,
            "CapEff:": held,
            "CapBnd:": held,
            "CapAmb:": none,
        }
    assert told == {
        "chown": "PermissionError",
        "chroot": "PermissionError",
        "more": "PrivilegesError",
    }


def test_a_user_that_does_not_exist_is_named_with_how_to_make_it():
    with pytest.raises(SettingsError, match="no user 'miauflix-nobody-has'") as caught:
        privileges.drop("miauflix-nobody-has")
    assert "useradd --system" in str(caught.value)


def test_root_is_no_user_to_become():
    with pytest.raises(SettingsError, match="has root's privileges"):
        privileges.drop("root")


@pytest.mark.parametrize(
    "give_up", [lambda: privileges.drop("nobody"), lambda: privileges.keep_only([])]
)
def test_beside_another_thread_nothing_is_given_up(give_up):
    release = threading.Event()
    other = threading.Thread(target=release.wait)
    other.start()
    try:
        with pytest.raises(PrivilegesError, match="threads"):
            give_up()
    finally:
        release.set()
        other.join()
    assert os.getresuid() == (os.getuid(),) * 3


def test_a_capability_that_nobody_has_heard_of_is_a_mistake():
    with pytest.raises(ValueError, match="CAP_EVERYTHING"):
        privileges.keep_only(["CAP_EVERYTHING"])
