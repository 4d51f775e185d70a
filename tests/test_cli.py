"""The command line: what is printed where, and the exit status."""

import json
import os
import subprocess
import sys

import pytest

from miauflixd import __version__, cli
from miauflixd.config import loading


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    """Keep away what the machine that runs the tests has set."""
    for name in [*os.environ]:
        if name.startswith("MIAUFLIX_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.setattr(loading, "DEFAULT_FILE", tmp_path / "etc" / "miauflixd.toml")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('[web]\nport = 80\n[storage]\nsealing_key = "hush"\n')
    return path


@pytest.mark.parametrize("before", [True, False])
def test_a_check_says_what_was_read(file, capsys, monkeypatch, before):
    monkeypatch.setenv("MIAUFLIX_WEB_PORT", "81")
    where = ["--config", str(file)]
    assert cli.main([*where, "config", "check"] if before else ["config", "check", *where]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{file}: ok\nMIAUFLIX_WEB_PORT: ok\n"
    assert printed.err == ""


def test_a_check_without_any_settings_says_so(capsys):
    assert cli.main(["config", "check"]) == 0
    assert capsys.readouterr().out == "nothing is set, all defaults: ok\n"


@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"], ["run"]])
def test_mistakes_go_to_standard_error_with_a_status_of_their_own(file, capsys, command):
    file.write_text("[web]\nport = 80\nprot = 81\nhots = 1\n")
    assert cli.main(["--config", str(file), *command]) == 78
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        f"{file}:3: web.prot: there is no such setting (did you mean web.port?)",
        f"{file}:4: web.hots: there is no such setting (did you mean web.host?)",
    ]


def test_the_settings_are_shown_without_secrets(file, capsys):
    assert cli.main(["--config", str(file), "config", "show"]) == 0
    shown = capsys.readouterr().out
    assert f"port = 80  # {file}:2\n" in shown
    assert "hush" not in shown


def test_the_demo_takes_no_settings_file(file, capsys):
    assert cli.main(["--config", str(file), "demo"]) == 1
    assert capsys.readouterr().err == (
        "miauflixd: The demo makes its own settings and takes no --config\n"
    )


@pytest.mark.parametrize(
    "wrong", [[], ["config"], ["sing"], ["demo", "--port", "65536"], ["demo", "--port", "-1"]]
)
def test_wrong_usage_is_explained(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(wrong)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: miauflixd ")


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"miauflixd {__version__}\n"


@pytest.mark.daemon
def test_a_check_imports_neither_asyncio_nor_the_web_server():
    code = (
        "import sys; from miauflixd import cli; cli.main(['config', 'check'])\n"
        "print(*sorted({'asyncio', 'aiohttp', 'peewee', 'libtorrent'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == ""


@pytest.mark.daemon
def test_the_module_runs_as_the_command_does(file):
    ran = subprocess.run(
        [sys.executable, "-m", "miauflixd", "--config", str(file), "config", "check"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == f"{file}: ok\n"


def test_names_of_releases_are_read_one_object_a_line(capsys):
    names = ["Glass.Meridian.2021.1080p.WEB-DL.x264-GRP", "Cinder Street S02E05 720p"]
    assert cli.main(["sources", "parse", *names]) == 0
    film, show = map(json.loads, capsys.readouterr().out.splitlines())
    assert (film["name"], film["title"], film["year"]) == (names[0], "Glass Meridian", 2021)
    assert (film["quality"], film["source_type"], film["group"]) == ("1080p", "web-dl", "GRP")
    assert (show["title"], show["season"], show["episode"]) == ("Cinder Street", 2, 5)


def test_names_of_releases_are_taken_from_standard_input():
    given = b"Glass.Meridian.2021\r\n\nGlass \xff\x1b]0;x\x07 2020\n"
    ran = subprocess.run(
        [sys.executable, "-m", "miauflixd", "sources", "parse"],
        input=given,
        capture_output=True,
        check=True,
    )
    printed = [json.loads(line) for line in ran.stdout.decode("ascii").splitlines()]
    assert [one["year"] for one in printed] == [2021, 2020]
    assert b"\x1b" not in ran.stdout
