"""The settings of the tunnel: what is refused, and in which words."""

from pathlib import Path

import pytest

from miauflixd.config.loading import Loaded, load
from miauflixd.config.showing import describe
from miauflixd.errors import SettingsError

TOKEN = "a-token-that-is-nobodys-business"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "miauflixd.toml"


def loaded(file: Path, text: str) -> Loaded:
    file.write_text(text)
    return load(file, {})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('namespace = "Miauflix!"', "1 to 12 of a-z, 0-9 and -, beginning with a letter"),
        ('resolvers = ["1.1.1.1", "dns.example"]', "a list, each item an IPv4 address"),
        ('country = "Sweden"', 'two letters, such as "se" for Sweden'),
        ('conf_folder = "wireguard"', 'an absolute path, such as "/srv/miauflixd"'),
        ('mode = "on"', '"off" or "required"'),
        ("nordvpn_token = 7", "text, not empty"),
        ("port_forwarding = 1", "true or false"),
    ],
)
def test_what_is_wrong_is_said_in_words(file, line, expected):
    with pytest.raises(SettingsError) as caught:
        loaded(file, f"[vpn]\n{line}\n")
    said = str(caught.value)
    assert said.startswith(f"{file}:2: vpn.{line.split()[0]}: is ")
    assert f", but should be {expected}" in said


@pytest.mark.parametrize("name", ["x" * 13, "", "-a", "1a", "a\\n", "../x"])
def test_a_namespace_is_a_short_plain_name(file, name):
    with pytest.raises(SettingsError, match="namespace"):
        loaded(file, f'[vpn]\nnamespace = "{name}"\n')


@pytest.mark.parametrize("address", ["256.1.1.1", "1.1.1", "1.1.1.1.1", "1.1.1.1 ", "::1", ""])
def test_a_resolver_is_an_address(file, address):
    with pytest.raises(SettingsError, match="resolvers"):
        loaded(file, f'[vpn]\nresolvers = ["{address}"]\n')


@pytest.mark.parametrize("user", ["root me", "-x", "A", "0", "x" * 40])
def test_a_user_has_a_name_as_users_have(file, user):
    with pytest.raises(
        SettingsError, match=r"service\.user: is .* but should be the name of a user"
    ):
        loaded(file, f'[service]\nuser = "{user}"\n')


@pytest.mark.parametrize("user", ["miauflix", "_media", "www-data", ""])
def test_whom_to_run_as_can_be_said(file, user):
    assert loaded(file, f'[service]\nuser = "{user}"\n').config.service.user == user


def test_a_token_may_come_as_a_credential_and_is_never_shown(tmp_path, file):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "vpn.nordvpn_token").write_text(f"{TOKEN}\n")
    file.write_text("")
    result = load(file, {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert result.config.vpn.nordvpn_token is not None
    assert result.config.vpn.nordvpn_token.reveal() == TOKEN
    assert TOKEN not in describe(result.config, result.origins)
    assert TOKEN not in repr(result.config)


def test_all_of_it_can_be_set(file, tmp_path):
    settings = loaded(
        file,
        "[vpn]\n"
        'mode = "required"\nnamespace = "den-2"\nresolvers = ["9.9.9.9"]\nport_forwarding = false\n'
        'country = "SE"\ncity = "Malmö"\nlan_endpoints = true\n'
        f'conf_folder = "{tmp_path}"\n',
    ).config.vpn
    assert (settings.namespace, settings.resolvers) == ("den-2", ["9.9.9.9"])
    assert (settings.country, settings.city) == ("SE", "Malmö")
    assert (settings.port_forwarding, settings.lan_endpoints) == (False, True)
    assert settings.conf_folder == tmp_path
