"""What a stranger gets with a clone: commands that run, locks that hold, and nobody's own paths."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-dev.lock")
COMMANDS = (
    ".ci/run",
    "scripts/bench",
    "scripts/check",
    "scripts/demo",
    "scripts/lab",
    "scripts/lock",
    "scripts/test",
)

# In pieces, or this file would be the first to be found.
OWN_PATHS = re.compile(
    rb"(?<![\w.-])/(?:"
    + b"|".join((b"work", b"tmp/w", b"root", rb"home/\w+", b"opt/pypi"))
    + rb")/"
)
"""Where people and machines keep checkouts, environments and mirrors."""

NOT_OURS = {"__pycache__", "dist", "demo-data"}


def committed() -> list[Path]:
    """Return the files that are in the repository, or would be after `git add`."""
    listed = subprocess.run(
        # `safe.directory`: a clone may belong to somebody else than who tests it.
        ["git", "-c", "safe.directory=*", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    files = [ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name]
    return [file for file in files if file.is_file()]


def unpacked() -> list[Path]:
    """Return the files of a tree that came without git."""
    return [
        file
        for file in ROOT.rglob("*")
        if file.is_file()
        and not any(
            part in NOT_OURS or (part.startswith(".") and part not in {".ci", ".gitignore"})
            for part in file.relative_to(ROOT).parts
        )
    ]


def files() -> list[Path]:
    try:
        return committed()
    except (OSError, subprocess.CalledProcessError):
        return unpacked()


def normalised(name: str) -> str:
    """Return a package's name as an index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def package(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return normalised(match[0])


def locked(lock: str) -> dict[str, str]:
    """Return what a lock file says of each package: version, markers and hashes."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return {package(entry): entry for entry in entries if entry}


# --- commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_can_be_run_and_stops_at_its_first_mistake(command):
    file = ROOT / command
    assert os.access(file, os.X_OK)
    lines = file.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines


@pytest.mark.parametrize("command", [*COMMANDS, "scripts/environment.sh"])
def test_bash_understands_a_command(command):
    checked = subprocess.run(
        ["bash", "-n", ROOT / command], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_script_that_can_be_run_is_looked_at_here():
    runnable = {
        str(file.relative_to(ROOT))
        for folder in (".ci", "scripts")
        for file in (ROOT / folder).iterdir()
        if os.access(file, os.X_OK)
    }
    assert runnable == {*COMMANDS}


def test_every_command_that_a_document_names_is_there():
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        name
        for document in documents
        for name in re.findall(r"`(?:\./)?(scripts/[\w.]+|\.ci/\w+)", document.read_text())
    }
    named.update(
        re.findall(r"^(scripts/\w+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    )
    assert {"scripts/demo", "scripts/test"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_file_that_a_document_points_at_is_there():
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in files()
        if document.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []


# --- locks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_whatever_the_project_needs(lock):
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    if lock == "requirements-dev.lock":
        wanted += PROJECT["dependency-groups"]["dev"]
    assert {package(requirement) for requirement in wanted} - locked(lock).keys() == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_locked_to_one_version_with_hashes(lock):
    for name, entry in locked(lock).items():
        assert re.match(r"\S+==[\w.]+ ", entry), name
        hashes = re.findall(r"--hash=(\S+)", entry)
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), name


def test_what_is_run_is_what_is_tested():
    tested = locked("requirements-dev.lock")
    for name, entry in locked("requirements.lock").items():
        # Markers may differ, for they say who needs it.
        assert tested[name].split()[0] == entry.split()[0]
        assert re.findall(r"sha256:\S+", tested[name]) == re.findall(r"sha256:\S+", entry)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_says_nothing_of_the_machine_it_was_made_on(lock):
    text = (ROOT / lock).read_text()
    assert re.findall(r"^-.*|\S*://\S*", text, flags=re.MULTILINE) == []


# --- the tree -------------------------------------------------------------------------------------


def test_no_file_holds_a_path_of_the_machine_it_was_written_on():
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.decode(errors='replace').strip()}"
        for file in files()
        for number, line in enumerate(file.read_bytes().splitlines(), start=1)
        if OWN_PATHS.search(line)
    ]
    assert found == []


def test_the_tree_is_read_the_same_with_git_and_without():
    try:
        known = {*committed()}
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git, or no repository")
    assert known - {*unpacked()} == set()


@pytest.mark.parametrize("folder", ["work", "root", "tmp/w", "home/me"])
@pytest.mark.parametrize("before", ["", "cd ", "'", "PATH=", "file://"])
def test_the_path_of_a_machine_is_recognised(before, folder):
    assert OWN_PATHS.search(f"{before}/{folder}/v".encode())


@pytest.mark.parametrize("text", ["https://c.example/work/x", "../root/x", "/roots/x", "/tmp/week"])
def test_another_path_is_left_alone(text):
    assert not OWN_PATHS.search(text.encode())


def test_only_egress_opens_a_client_session():
    """There are two ways out over HTTP, and no third; the demo talks to its own daemon."""
    package = ROOT / "miauflixd"
    openers = {
        file.relative_to(package).parts[0]
        for file in package.rglob("*.py")
        if "ClientSession(" in file.read_text()
    }
    assert openers == {"egress", "demo"}
