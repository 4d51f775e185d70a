"""The settings: what is read, what wins, and what a person is told about a mistake."""

import copy
import os
import pickle
import re
import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miauflixd.config import loading
from miauflixd.config.leaves import LEAVES, TABLES, to_toml
from miauflixd.config.loading import load
from miauflixd.config.settings import Config
from miauflixd.config.showing import describe
from miauflixd.config.toml_lines import lines_of
from miauflixd.errors import SettingsError
from miauflixd.runtime.secrets import Secret

EXAMPLE = Path(__file__).parent.parent / "config" / "miauflixd.example.toml"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "miauflixd.toml"


def mistakes(
    file: Path, text: str | bytes | None = None, environment: dict[str, str] | None = None
) -> list[str]:
    """Return what is said about a file (and an environment), a line for each mistake."""
    if isinstance(text, str):
        file.write_text(text)
    elif text is not None:
        file.write_bytes(text)
    with pytest.raises(SettingsError) as caught:
        load(file, environment or {})
    return str(caught.value).replace(f"{file.parent}/", "").splitlines()


def test_no_settings_at_all_are_the_defaults(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "DEFAULT_FILE", tmp_path / "nowhere" / "miauflixd.toml")
    loaded = load(None, {"PATH": "/bin"})
    assert loaded.config == Config()
    assert loaded.sources == ()


def test_a_named_file_must_exist(file):
    assert mistakes(file) == ["miauflixd.toml: there is no such file"]


def test_later_sources_win(file):
    file.write_text('[web]\nport = 1\nhost = "::1"\n[log]\nlevel = "error"\n')
    conf_d = file.parent / "conf.d"
    conf_d.mkdir()
    (conf_d / "20-b.toml").write_text("web.port = 3\n")
    (conf_d / "10-a.toml").write_text("web.port = 2\ntorrents.dht = false\n")
    (conf_d / ".15-a.toml.swp.toml").write_text("an editor's\n")
    (conf_d / "README").write_text("not settings\n")
    loaded = load(file, {"MIAUFLIX_LOG_LEVEL": "debug"})
    config = loaded.config
    assert (config.web.port, config.web.host) == (3, "::1")
    assert (config.torrents.dht, config.log.level) == (False, "debug")
    assert [Path(source).name for source in loaded.sources] == [
        "miauflixd.toml",
        "10-a.toml",
        "20-b.toml",
        "MIAUFLIX_LOG_LEVEL",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[web]\n# the door\nprot = 8080\n",
            "miauflixd.toml:3: web.prot: there is no such setting (did you mean web.port?)",
        ),
        (
            "\n[torrent]\ndht = true\n",
            "miauflixd.toml:2: torrent: there is no such table (did you mean torrents?)",
        ),
        (
            "port = 8080\n",
            "miauflixd.toml:1: port: there is no such setting (did you mean web.port?)",
        ),
        (
            "[log]\ncolour = 1\n",
            "miauflixd.toml:2: log.colour: there is no such setting (known here: level)",
        ),
        (
            "[web]\nport = 99999\n",
            (
                "miauflixd.toml:2: web.port: is 99999, but should be a whole number from 0 to 65535"
                " (for example: port = 8484)"
            ),
        ),
        (
            "[web]\nport = true\n",
            (
                "miauflixd.toml:2: web.port: is true, but should be a whole number from 0 to 65535"
                " (for example: port = 8484)"
            ),
        ),
        (
            "[web]\nhost = 1\n",
            (
                "miauflixd.toml:2: web.host: is 1, but should be text"
                ' (for example: host = "127.0.0.1")'
            ),
        ),
        (
            '[log]\nlevel = "warn"\n',
            (
                'miauflixd.toml:2: log.level: is "warn", but should be "debug" or "error" or "info"'
                ' or "warning" (did you mean "warning"?)'
            ),
        ),
        (
            '[storage]\npath = "films"\n',
            (
                'miauflixd.toml:2: storage.path: is "films", but should be an absolute path, such'
                ' as "/srv/miauflixd" (for example: path = "/var/lib/miauflixd")'
            ),
        ),
        (
            '[web]\nunix_socket = "/run/\\u0000"\n',
            (
                'miauflixd.toml:2: web.unix_socket: is "/run/\\u0000", but should be an absolute'
                ' path, such as "/srv/miauflixd"'
            ),
        ),
        (
            "[torrents]\nno_data_timeout = nan\n",
            (
                "miauflixd.toml:2: torrents.no_data_timeout: is nan, but should be a number, above"
                " 0 and at most 600 (for example: no_data_timeout = 30.0)"
            ),
        ),
        (
            "torrents.dht = 1979-05-27\n",
            (
                "miauflixd.toml:1: torrents.dht: is a date or time, but should be true or false"
                " (for example: dht = true)"
            ),
        ),
        (
            "web = 3\n",
            (
                "miauflixd.toml:1: web: is a number, but should be a table"
                " (its settings stand below a line [web])"
            ),
        ),
        (
            "\n[[web]]\nport = 1\n",
            (
                "miauflixd.toml:2: web: is a list, but should be a table"
                " (its settings stand below a line [web])"
            ),
        ),
        (
            "\nweb = { port = 1, prot = 2 }\n",
            "miauflixd.toml:2: web.prot: there is no such setting (did you mean web.port?)",
        ),
        (
            '"we\\nb"."p.q" = 1\n',
            'miauflixd.toml:1: "we\\nb": there is no such table (did you mean web?)',
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_its_path_and_a_hint(file, text, said):
    assert mistakes(file, text) == [said]


def test_every_mistake_is_named_not_only_the_first(file):
    (file.parent / "conf.d").mkdir()
    (file.parent / "conf.d" / "more.toml").write_text('[web]\nport = "x"\n')
    said = mistakes(
        file, "[web]\nprot = 1\n[log]\nlevel = 2\n", {"MIAUFLIX_WEB_HSOT": "a", "HOME": "/"}
    )
    assert [line.split(": ")[0] for line in said] == [
        "miauflixd.toml:2",
        "miauflixd.toml:4",
        "conf.d/more.toml:2",
        "MIAUFLIX_WEB_HSOT",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"[web]\nport = 80x\n",
            (
                "miauflixd.toml:2: is not valid TOML at column 10: Expected newline or end of"
                " document after a statement"
            ),
        ),
        (
            b"[log]\nlevel = debug\n",
            (
                "miauflixd.toml:2: is not valid TOML at column 9: Invalid value"
                ' (text stands in quotes: name = "value")'
            ),
        ),
        (
            b'[log]\nlevel = """',
            "miauflixd.toml: is not valid TOML: Unterminated string (at end of document)",
        ),
        (
            b"[log]\n\nlevel = '\xff'\n",
            "miauflixd.toml:3: is not UTF-8 text (save it with the encoding UTF-8)",
        ),
        (b"a = " + b"[" * 100_000, "miauflixd.toml: is nested too deeply"),
        (b"#" * (2**20 + 1), "miauflixd.toml: is larger than 1 MiB: the wrong file?"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_in_plain_words(file, content, said):
    assert mistakes(file, content) == [said]


def test_a_number_that_python_itself_refuses_is_a_mistake_too(file):
    (said,) = mistakes(file, "[web]\nport = " + "9" * 5000)
    assert said.startswith("miauflixd.toml: is not valid TOML: ")


def test_a_number_beyond_64_bits_is_too_large_for_any_setting(file):
    (said,) = mistakes(file, f"[torrents]\nminimum_free = {2**63}\n")
    assert f"torrents.minimum_free: is {2**63}, but should be a whole number from 0 to" in said


def test_an_enormous_number_is_not_repeated(file):
    (said,) = mistakes(file, "[web]\nport = 0x" + "f" * 5000)
    assert "web.port: is an enormous number, but should be" in said


def test_a_long_value_is_not_repeated_in_full(file):
    (said,) = mistakes(file, f'[log]\nlevel = "{"x" * 10_000}"\n')
    assert len(said) < 300


def test_a_value_that_would_move_the_cursor_is_shown_escaped(file):
    (said,) = mistakes(file, '[log]\nlevel = "\\u001b[2J\x9b\u2028"\n')
    assert r'log.level: is "\u001b[2J\U0000009b\U00002028", but' in said


def test_a_mark_at_the_start_of_the_file_does_no_harm(file):
    file.write_bytes(b"\xef\xbb\xbf[web]\r\nport = 1\r\n")
    assert load(file, {}).config.web.port == 1


def test_directories_in_the_place_of_files_are_named(file):
    file.mkdir()
    (file.parent / "conf.d" / "10.toml").mkdir(parents=True)
    assert mistakes(file) == [
        "miauflixd.toml: is a directory, but should be a file",
        "conf.d/10.toml: is a directory, but should be a file",
    ]


def test_a_file_in_the_place_of_conf_d_is_named(file):
    (file.parent / "conf.d").write_text("")
    assert mistakes(file, "") == ["conf.d: is no directory, or lies in something that is none"]


def test_a_link_that_leads_nowhere_is_named(file):
    (file.parent / "conf.d").mkdir()
    (file.parent / "conf.d" / "10.toml").symlink_to("gone")
    assert mistakes(file, "") == ["conf.d/10.toml: there is no such file"]


def test_a_file_that_may_not_be_read_is_named():
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:  # not pytest's, which nobody may enter
        Path(folder).chmod(0o755)
        file = Path(folder) / "miauflixd.toml"
        file.touch(mode=0)
        if user == 0:
            os.seteuid(65534)  # root may read everything, nobody may not
        try:
            found = mistakes(file)
        finally:
            os.seteuid(user)
    assert found == ["miauflixd.toml: may not be read by this user"]


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("WEB_PORT", "8080", ("web", "port"), 8080),
        ("WEB_HOST", "5", ("web", "host"), "5"),
        ("WEB_UNIX_SOCKET", "/run/a", ("web", "unix_socket"), Path("/run/a")),
        ("WEB_UNIX_SOCKET", "", ("web", "unix_socket"), None),
        ("TORRENTS_DHT", "false", ("torrents", "dht"), False),
        ("TORRENTS_NO_DATA_TIMEOUT", "5", ("torrents", "no_data_timeout"), 5.0),
        ("TORRENTS_LISTEN", "[::]:0, 1.2.3.4:5", ("torrents", "listen"), ["[::]:0", "1.2.3.4:5"]),
        ("TORRENTS_LISTEN", '["a:1", "b:2"]', ("torrents", "listen"), ["a:1", "b:2"]),
        ("TORRENTS_LISTEN", "", ("torrents", "listen"), []),
        ("STORAGE_SEALING_KEY", "hush", ("storage", "sealing_key"), Secret("hush")),
    ],
)
def test_the_environment_sets_each_kind_of_setting(file, name, text, path, value):
    file.write_text('web.unix_socket = "/run/b"\n')
    config = load(file, {f"MIAUFLIX_{name}": text}).config
    assert getattr(getattr(config, path[0]), path[1]) == value


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "WEB_PROT",
            "1",
            "MIAUFLIX_WEB_PROT: there is no such setting (did you mean MIAUFLIX_WEB_PORT?)",
        ),
        (
            "WEB_PORT",
            "http",
            (
                'MIAUFLIX_WEB_PORT: web.port: is "http", but should be a whole number from 0 to'
                " 65535 (for example: MIAUFLIX_WEB_PORT=8484)"
            ),
        ),
        (
            "TORRENTS_LISTEN",
            '["a',
            (
                'MIAUFLIX_TORRENTS_LISTEN: torrents.listen: is "[\\"a", but should be a list, each'
                " item text (for example: MIAUFLIX_TORRENTS_LISTEN=0.0.0.0:0,[::]:0)"
            ),
        ),
        ("WEB_HOST", "\udcff", "MIAUFLIX_WEB_HOST: web.host: is not UTF-8 text"),
        (
            "STORAGE_SEALING_KEY",
            "",
            (
                "MIAUFLIX_STORAGE_SEALING_KEY: storage.sealing_key: is text, but should be text,"
                " not empty"
            ),
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(file, name, text, said):
    assert mistakes(file, "", {f"MIAUFLIX_{name}": text}) == [said]


def test_a_name_of_several_lines_does_not_make_two_mistakes_of_one(file):
    (said,) = mistakes(file, "", {"MIAUFLIX_A\nB": "1"})
    assert said.startswith("'MIAUFLIX_A\\nB': there is no such setting")


def test_no_two_settings_share_a_variable():
    assert len({"_".join(path) for path in LEAVES}) == len(LEAVES)


@pytest.fixture
def credentials(tmp_path):
    directory = tmp_path / "credentials"
    directory.mkdir()
    return directory


def test_a_credential_sets_a_secret_without_the_end_of_its_line(file, credentials):
    file.write_text('storage.sealing_key = "from the file"\n')
    (credentials / "storage.sealing_key").write_text("hush \n")
    (credentials / "tls.key").write_text("somebody else's")
    (credentials / "web").write_text("somebody else's")
    loaded = load(file, {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert loaded.config.storage.sealing_key == Secret("hush ")
    assert loaded.sources[-1] == "credential storage.sealing_key"


def test_a_mistake_in_a_credential_names_it_and_never_shows_it(file, credentials):
    (credentials / "storage.sealing_key").write_text(" \n")
    (credentials / "storage.sealing_kye").write_text("hush")
    (credentials / "web.port").write_text("80")
    assert mistakes(file, "", {"CREDENTIALS_DIRECTORY": str(credentials)}) == [
        (
            "credential storage.sealing_key: storage.sealing_key: is text, but should be text,"
            " not empty"
        ),
        (
            "credential storage.sealing_kye: there is no such setting"
            " (did you mean storage.sealing_key?)"
        ),
        (
            "credential web.port: is no secret, and credentials are for secrets only"
            " (set it in the file or in the environment)"
        ),
    ]


def test_a_secret_of_the_wrong_kind_is_not_shown(file):
    (said,) = mistakes(file, "[storage]\nsealing_key = 123456\n")
    assert said.endswith("is a number, but should be text, not empty")


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret("hush")
    assert "hush" not in f"{secret} {secret!r} {[secret]} {Config()}"
    assert secret.reveal() == "hush"
    assert (secret == Secret("hush"), secret == Secret("hash"), secret == "hush") == (
        True,
        False,
        False,
    )
    assert hash(secret) == hash(Secret("hush"))
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)


def test_what_is_in_force_is_shown_with_its_origin_and_without_secrets(file):
    file.write_text('[web]\nport = 80\nhost = "127.0.0.1"\n[storage]\nsealing_key = "hush"\n')
    loaded = load(file, {"MIAUFLIX_LOG_LEVEL": "debug"})
    shown = describe(loaded.config, loaded.origins)
    lines = shown.splitlines()
    assert f"port = 80  # {file}:2" in lines
    assert 'host = "127.0.0.1"' in lines
    assert 'level = "debug"  # MIAUFLIX_LOG_LEVEL' in lines
    assert "# unix_socket is not set" in lines
    assert f"# sealing_key is set, and hidden ({file}:5)" in lines
    assert "hush" not in shown


def test_what_is_shown_can_be_read_again(file, tmp_path):
    file.write_text(
        '[web]\nhost = "\\u007f\\"\\\\é\\n"\n[torrents]\nlisten = ["a", "#"]\ndht = false\n'
        'no_data_timeout = 1e-3\n[storage]\npath = "/a b"\n'
    )
    config = load(file, {}).config
    again = tmp_path / "again.toml"
    again.write_text(describe(config))
    assert load(again, {}).config == config


def test_lines_are_found_whatever_stands_between():
    text = (
        '# a = 1\ntop = "= [x]"\n\n[ web ] # [not]\nport = [ # ]\n 1,\n [2], "]"\n]\n'
        "\"a b\".'c.d' = 1\n"
        'text = """\nport = 2\n\\""""""\nx.y = \'\'\'\nz = 1\'\'\'\'\'\n[web.deep]\nin = {z = 1,'
        " y = [2]}\r\nlast = 1979-05-27T07:32:00Z\n[[many]]\none = 1\n[[many]]\none = 2"
    )
    tomllib.loads(text)
    assert lines_of(text) == {
        ("top",): 2,
        ("web",): 4,
        ("web", "port"): 5,
        ("web", "a b"): 9,
        ("web", "a b", "c.d"): 9,
        ("web", "text"): 10,
        ("web", "x"): 13,
        ("web", "x", "y"): 13,
        ("web", "deep"): 15,
        ("web", "deep", "in"): 16,
        ("web", "deep", "last"): 17,
        ("many",): 18,
        ("many", "one"): 19,
    }


def uncommented(text: str) -> str:
    """Return the example with each setting that it shows really set."""
    return re.sub(r"^#(?=[a-z])", "", text, flags=re.MULTILINE)


def test_the_example_as_it_is_changes_nothing():
    assert load(EXAMPLE, {}).config == Config()


def test_the_example_names_every_setting_and_nothing_else(tmp_path):
    everything = tmp_path / "everything.toml"
    everything.write_text(uncommented(EXAMPLE.read_text()))
    load(everything, {})
    decoded = tomllib.loads(everything.read_text())
    assert [(table, name) for table, settings in decoded.items() for name in settings] == list(
        LEAVES
    )


def test_the_defaults_in_the_example_are_the_real_ones():
    decoded = tomllib.loads(uncommented(EXAMPLE.read_text()))
    for (table, name), leaf in LEAVES.items():
        if leaf.default is not None:
            assert to_toml(decoded[table][name]) == to_toml(leaf.default)


keys = st.one_of(
    st.sampled_from(sorted({key for path in LEAVES for key in path})),
    st.text(max_size=5).map(to_toml),
)
scalars = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.booleans().map(to_toml),
    st.text().map(to_toml),
    st.dates().map(str),
    st.sampled_from(["0x" + "f" * 5000, "'''\n'''", '"""\\\n"""', "[[1]]", "{}", "{ a.b = 1 }"]),
)
values = st.one_of(
    scalars, st.lists(scalars, max_size=3).map(lambda items: f"[{', '.join(items)}]")
)
statements = st.one_of(
    st.lists(keys, min_size=1, max_size=3).map(lambda path: f"[{'.'.join(path)}]"),
    st.builds(
        lambda path, value: f"{'.'.join(path)} = {value}",
        st.lists(keys, min_size=1, max_size=3),
        values,
    ),
    st.text(max_size=10),
)
files = st.one_of(
    st.lists(statements, max_size=8).map("\n".join).map(lambda text: text.encode(errors="replace")),
    st.binary(max_size=50),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=files, variable=st.sampled_from(sorted(LEAVES)), text=st.text(max_size=8))
def test_any_file_is_either_settings_or_named_mistakes(file, content, variable, text):
    file.write_bytes(content)
    environment = {f"MIAUFLIX_{'_'.join(variable).upper()}": text}
    try:
        config = load(file, environment).config
    except SettingsError as error:
        for line in str(error).splitlines():
            assert line.startswith((str(file), "MIAUFLIX_"))
    else:
        assert isinstance(config, Config)


@given(st.lists(statements, max_size=8).map("\n".join))
def test_a_line_is_found_for_every_key_of_any_toml(text):
    try:
        decoded = tomllib.loads(text)
    except ValueError:
        return
    lines = lines_of(text)
    for key in decoded:
        assert (key,) in lines


def test_tables_are_what_the_file_has_tables_for():
    tables = {"web", "torrents", "vpn", "auth", "catalogue", "jobs", "storage", "service"}
    tables |= {"sources", "playback", "log"}
    assert {path[0] for path in TABLES} == tables
