"""WireGuard files: what is followed, what is left out, and what is refused."""

import base64
import hashlib
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from miauflixd.tunnel.allowed_ips import BadNetworkError, coverage
from miauflixd.tunnel.wireguard_conf import ConfRefusedError, Ignored, is_key, parse

CORPUS = Path(__file__).parent / "data" / "wireguard"
FILES = sorted(CORPUS.glob("*.conf"))


def made_up(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


OURS, THEIRS, SHARED = made_up("ours"), made_up("theirs"), made_up("shared")


def conf(interface: str = "", peer: str = "", *, without: str = "") -> str:
    """Return a small sound file with some lines more, or without some key."""
    lines = [
        "[Interface]",
        f"PrivateKey = {OURS}",
        "Address = 10.2.0.2/32",
        interface,
        "[Peer]",
        f"PublicKey = {THEIRS}",
        "AllowedIPs = 0.0.0.0/0",
        "Endpoint = vpn.example.org:51820",
        peer,
    ]
    own = {1, 2, 5, 6, 7}
    return "\n".join(
        "" if without and at in own and line.startswith(without) else line
        for at, line in enumerate(lines)
    )


def parsed(text: str | bytes, *, name: str = "a.conf", lan_ok: bool = False):
    return parse(text, name=name, lan_ok=lan_ok)


def refusal(text: str | bytes, *, name: str = "a.conf", lan_ok: bool = False) -> ConfRefusedError:
    with pytest.raises(ConfRefusedError) as caught:
        parse(text, name=name, lan_ok=lan_ok)
    return caught.value


def reasons(text: str) -> dict[str, str]:
    return {ignored.key: ignored.why for ignored in parsed(text).ignored}


# --- files of the world ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "provider", "country", "endpoint"),
    [
        ("mullvad-se-mma-wg-001", "mullvad", "SE", ("203.0.113.11", 51820)),
        ("proton", "proton", "CH", ("203.0.113.61", 51820)),
        ("proton-secure-core", "proton", "DE", ("203.0.113.62", 51820)),
        ("nordvpn-us9591", "nordvpn", "US", ("us9591.nordvpn.com", 51820)),
        ("AirVPN_Netherlands_UDP-1637-Entry3", "airvpn", "NL", ("nl3.vpn.airdns.org", 1637)),
        ("Windscribe-Amsterdam-Tulip", "windscribe", None, ("ams-123-wg.whiskergalaxy.com", 443)),
        ("us-bdn.prod.surfshark.com", "surfshark", "US", ("us-bdn.prod.surfshark.com", 51820)),
        ("ivpn-netherlands", "ivpn", "NL", ("nl1.wg.ivpn.net", 2049)),
        ("pia", "pia", None, ("198.51.100.37", 1337)),
        ("azirevpn-dk1", "azirevpn", None, ("dk1.wg.azirevpn.net", 51820)),
        ("wg-quick-with-hooks", "wireguard", None, ("exit.example.org", 41414)),
        ("opnsense", "wireguard", None, ("2001:db8:41::7", 51820)),
        ("app-excludes-private-networks", "wireguard", None, ("vpn.example.net", 51820)),
        ("split-in-two", "wireguard", None, ("vpn.example.net", 443)),
        ("warp-with-junk", "cloudflare", None, ("engage.cloudflareclient.com", 2408)),
    ],
)
def test_a_provider_s_file_leads_to_its_server(file, provider, country, endpoint):
    path = CORPUS / f"{file}.conf"
    spec = parsed(path.read_bytes(), name=path.name).spec

    assert (spec.provider, spec.country, (spec.host, spec.port)) == (provider, country, endpoint)
    assert is_key(spec.private_key.reveal())
    assert is_key(spec.public_key)
    assert spec.public_key in path.read_text()


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("fritzbox", 10, "covers only 192.168.178.0/24"),
        ("amneziawg", 8, "AmneziaWG"),
        ("server-side", 7, "None of the 2 peers leads to the internet"),
        ("nordvpn-token", 2, "looks like a NordVPN access token"),
        ("template", 2, "PrivateKey is no key"),
        ("openvpn", 1, "OpenVPN profile"),
        ("hostile", 9, "neither a DNS name nor an address"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_file_and_line(file, line, says):
    path = CORPUS / f"refused-{file}.conf"
    error = refusal(path.read_bytes(), name=path.name)

    assert str(error).startswith(f"{path.name}, line {line}: ")
    assert says in str(error)
    assert (error.line, error.code) == (line, "conf_refused")


def test_every_file_of_the_corpus_is_in_one_of_these_two_lists():
    marks = [
        mark
        for test in (
            test_a_provider_s_file_leads_to_its_server,
            test_what_cannot_be_used_is_refused_with_its_file_and_line,
        )
        for mark in test.pytestmark
    ]
    accepted, refused = ([case[0] for case in mark.args[1]] for mark in marks)
    assert sorted([*accepted, *(f"refused-{name}" for name in refused)]) == sorted(
        path.stem for path in FILES
    )


def test_proton_s_comments_say_what_the_server_can_do():
    spec = parsed((CORPUS / "proton.conf").read_bytes()).spec

    assert (spec.name, spec.port_forwarding, spec.gateway) == ("CH#61", True, "10.2.0.1")
    assert spec.hints == ("NetShield",)


def test_forwarding_that_is_switched_off_is_not_asked_for():
    spec = parsed((CORPUS / "proton-secure-core.conf").read_bytes()).spec

    assert not spec.port_forwarding
    assert (spec.name, spec.hints) == ("IS-DE#1", ("Moderate NAT",))


def test_a_file_without_comments_is_called_by_its_own_name():
    assert parsed(conf(), name="../../etc/home office.conf").spec.name == "home office"


# --- the grammar ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: "\ufeff" + text,
        lambda text: text.encode("utf-16"),  # with its mark, as PowerShell writes
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.upper().replace(OURS.upper(), OURS).replace(THEIRS.upper(), THEIRS),
        lambda text: text.replace(" = ", "="),
        lambda text: text.replace("= ", "=\t  ").replace("\n", "  \n"),
        lambda text: text.replace("[Interface]", "  [ Interface ]  # ours"),
        lambda text: text.replace("\n", " # = [Peer] PrivateKey\n"),
        lambda text: "# first\n; second\n\n" + text + "\n#last",
        lambda text: text.replace(OURS, f"{OURS[:20]} {OURS[20:]}"),
        lambda text: text.replace("0.0.0.0/0", "0.0.0.0 / 0 ,"),
        lambda text: text.replace("0.0.0.0/0", "0.0.0.0/1\nAllowedIPs = 128.0.0.0/1"),
        lambda text: text.replace("0.0.0.0/0", "+0.0.0.0/0"),
        lambda text: text.replace("[Peer]", "[Interface]\n[Peer]"),
        lambda text: text.encode() + b"\n# Z\xfcrich",
    ],
)
def test_however_it_is_written_it_means_the_same(change):
    assert parsed(change(conf())).spec == parsed(conf()).spec


def test_interface_may_be_said_in_pieces_and_after_the_peer():
    pieces = conf().split("[Peer]")
    text = f"[Peer]{pieces[1]}\n[Interface]\n{pieces[0].replace('[Interface]', '')}"

    assert parsed(text).spec == parsed(conf()).spec


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "no [Interface]"),
        ("hello", 1, "neither a section"),
        ("<!DOCTYPE html>\n<html>", 1, "web page"),
        ('{"PrivateKey": "x"}', 1, "web page"),
        ("PrivateKey = x\n[Interface]", 1, "above any section"),
        ("[Interface\nPrivateKey = x", 1, "not closed"),
        ("[Interface]\n= x", 2, "neither a section"),
        ("[Interface]\nPrivateKey", 2, "neither a section"),
        ("[Interface]\n# \0", 2, "NUL"),
        (b"[Interface]\nPrivateKey = \0\0", 2, "NUL"),
        ("[Peer]\nPublicKey = x", None, "no [Interface]"),
        (f"[Interface]\nPrivateKey = {OURS}\n", None, "no [Peer]"),
        (conf(without="PrivateKey"), 1, "[Interface] has no PrivateKey"),
        (conf(without="Address"), 1, "[Interface] has no Address"),
        (conf(without="PublicKey"), 5, "[Peer] has no PublicKey"),
        (conf(without="Endpoint"), 5, "[Peer] has no Endpoint"),
        (conf(without="AllowedIPs"), 5, "no AllowedIPs"),
    ],
)
def test_what_is_no_wireguard_file_is_refused(text, line, says):
    error = refusal(text)

    assert (error.line, says in error.reason) == (line, True), str(error)


@pytest.mark.parametrize(
    "content", ["#" * 2**19, b"\xff\xfe" + b"a" * 2**19], ids=["text", "bytes"]
)
def test_a_file_of_half_a_megabyte_is_refused(content):
    assert "larger than 256 KiB" in refusal(content).reason


def test_a_file_of_many_lines_or_many_peers_is_refused():
    assert "more than 8192 lines" in refusal("\n" * 9000).reason
    error = refusal(conf(peer="[Peer]\n" * 1000))
    assert (error.line, error.reason) == (72, "There are more than 64 peers")


def test_an_unknown_key_is_named_with_its_line():
    assert (
        Ignored("Obfuscation", "WireGuard has no such key", 4)
        in parsed(conf("Obfuscation = on")).ignored
    )


def test_an_unknown_section_is_named_with_its_line():
    assert (
        Ignored("[Socks5]", "WireGuard has no such section", 9)
        in parsed(conf(peer="[Socks5]\nBindAddress = 127.0.0.1:25344")).ignored
    )


def test_what_stands_in_the_wrong_section_is_left_out():
    assert reasons(conf(peer="DNS = 1.1.1.1"))["DNS"] == "it does not belong into [Peer]"
    assert parsed(conf(peer="DNS = 1.1.1.1")).spec.dns == ()


def test_of_a_key_that_is_said_twice_the_last_counts():
    found = parsed(conf("MTU = 1300\nMTU = 1400"))

    assert found.spec.mtu == 1400
    assert found.ignored == (Ignored("MTU", "line 5 says it again", 4),)


# --- what is never followed -----------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["PreUp", "PostUp", "PreDown", "PostDown", "postup", "POST UP"])
def test_commands_are_neither_run_nor_kept_but_reported(hook):
    found = parsed(conf(f"{hook} = touch /tmp/owned; echo %i"))

    (ignored,) = found.ignored
    assert (ignored.line, ignored.why) == (4, "commands in files are never run, nor kept")
    assert "owned" not in repr(found)


WATCHED = """
import contextlib, pathlib, sys
from miauflixd.tunnel.wireguard_conf import ConfRefusedError, parse
contents = [(path.name, path.read_bytes()) for path in pathlib.Path(sys.argv[1]).iterdir()]
told = []
def parse_all():
    for name, content in contents:
        with contextlib.suppress(ConfRefusedError):
            parse(content, name=name)
parse_all()  # Python loads its codecs when they are first needed
sys.addaudithook(lambda event, arguments: told.append(event))
parse_all()
print(len(contents), sorted({*told}))
"""
"""In an interpreter of its own, for a hook stays. Python tells it of every program that is started,
every file that is opened and every name that is looked up; no Python code gets past it."""


def test_nothing_is_run_opened_or_looked_up_whatever_a_file_says():
    watched = subprocess.run(
        [sys.executable, "-c", WATCHED, str(CORPUS)], capture_output=True, text=True, check=True
    )

    assert watched.stdout == f"{len(FILES)} []\n"


@pytest.mark.parametrize(
    "line",
    ["Table = off", "Table = 51820", "SaveConfig = true", "FwMark = 0xca6c", "ListenPort = 0"],
)
def test_what_is_ours_to_decide_is_reported(line):
    (ignored,) = parsed(conf(line)).ignored

    assert (ignored.key, ignored.line) == (line.split(" ")[0], 4)
    assert parsed(conf(line)).spec == parsed(conf()).spec


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        OURS[:-1],
        OURS + "=",
        "!" + OURS[1:],
        base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        base64.b64encode(bytes(32)).decode(),
        base64.b64encode(b"x" * 31).decode(),
        OURS[:-2] + "B=",  # the last character has bits that no byte has
        "é" * 44,
    ],
)
@pytest.mark.parametrize("name", ["PrivateKey", "PublicKey"])
def test_what_is_no_key_is_refused_and_not_quoted(name, key):
    error = (
        refusal(conf(without=name).replace("[Peer]", f"[Peer]\n{name} = {key}"))
        if (name == "PublicKey")
        else refusal(conf(f"{name} = {key}", without=name))
    )

    assert name in error.reason
    assert len(key) < 9 or key not in str(error)


@pytest.mark.parametrize("token", [hashlib.sha256(b"t").hexdigest(), made_up("a" * 9)[:32] * 2])
def test_an_access_token_in_the_place_of_the_key_is_recognised(token):
    error = refusal(conf(f"PrivateKey = {token}", without="PrivateKey"))

    assert "NordVPN access token" in error.reason
    assert token not in str(error)


def test_our_key_is_not_the_server_s():
    assert "the server's is needed" in refusal(conf().replace(THEIRS, OURS)).reason


def test_a_preshared_key_is_kept_and_hidden():
    spec = parsed(conf(peer=f"PresharedKey = {SHARED}")).spec

    assert spec.preshared_key is not None
    assert spec.preshared_key.reveal() == SHARED
    assert SHARED not in repr(spec)
    assert OURS not in repr(spec)


@pytest.mark.parametrize("none", ["", base64.b64encode(bytes(32)).decode()])
def test_a_preshared_key_of_nothing_is_none(none):
    assert parsed(conf(peer=f"PresharedKey = {none}")).spec.preshared_key is None


def test_a_key_that_lost_its_place_is_not_quoted():
    for text in (
        f"[Interface]\n{OURS}",
        conf(f"{OURS} = x"),
        conf(OURS),
        conf(f"[{OURS}]"),
        conf(peer=f"Endpoint = {OURS}"),
        conf(peer=f"Endpoint = {OURS}:1"),
        conf(peer=f"AllowedIPs = {OURS}"),
        conf(f"Address = {OURS}"),
        conf(f"MTU = {OURS}"),
        conf(f"DNS = {OURS}"),
        conf(peer=f"PersistentKeepalive = {OURS}"),
    ):
        try:
            said = repr(parsed(text).ignored)
        except ConfRefusedError as error:
            said = str(error)
        assert OURS not in said
        assert OURS[:12] not in said


# --- AmneziaWG ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["S1 = 15", "S2 = 1", "S4 = 9", "H1 = 5", "H4 = 1-99", "h2 = 1", "H3 ="]
)
def test_a_server_of_amneziawg_is_refused_plainly(key):
    error = refusal(conf(key))

    assert error.line == 4
    assert "AmneziaWG" in error.reason


def test_amneziawg_s_junk_alone_changes_nothing():
    junk = "Jc = 4\nJmin = 40\nJmax = 70\nI1 = <b 0xc7>\nS1 = 0\nH1 = 1\nH2 = 2-2"
    found = parsed(conf(junk))

    assert found.spec == parsed(conf()).spec
    assert [ignored.key for ignored in found.ignored] == [
        "Jc",
        "Jmin",
        "Jmax",
        "I1",
        "S1",
        "H1",
        "H2",
    ]
    assert all("AmneziaWG" in ignored.why for ignored in found.ignored)


# --- addresses, resolvers, MTU, keepalive ---------------------------------------------------------


def test_addresses_have_a_length_and_are_of_both_kinds():
    text = conf("Address = 10.2.0.3, fd00::2\nAddress = 10.3.0.1/24 fd00::3/64")
    found = parsed(text.replace("AllowedIPs = ", "AllowedIPs = ::/0, ")).spec

    assert found.addresses == (
        "10.2.0.2/32", "10.2.0.3/32", "fd00::2/128", "10.3.0.1/24", "fd00::3/64"
    )  # fmt: skip


def test_ipv6_is_left_out_where_it_leads_nowhere():
    found = parsed(conf("Address = fd00::2/128\nDNS = fd00::1, 10.2.0.1"))

    assert (found.spec.addresses, found.spec.dns) == (("10.2.0.2/32",), ("10.2.0.1",))
    assert [ignored.key for ignored in found.ignored] == ["Address", "DNS"]


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1/33", "10.0.0.1/0", "10.0.0.1/255.0.0.0", "10.0.0.1/x", "10.0.0.1/", "10.0.0.1/-1",
        "10.0.0", "010.0.0.1", "fe80::1%eth0", "fe80::1/64", "224.0.0.1", "127.0.0.1/8", "0.0.0.0",
        "255.255.255.255", "ff02::1", "::1", "169.254.1.1/16", "10.0.0.1/\u0663", "name.example",
    ],
)  # fmt: skip
def test_an_address_that_none_of_ours_can_be_is_refused(address):
    text = conf(f"Address = {address}").replace("AllowedIPs = ", "AllowedIPs = ::/0, ")
    error = refusal(text)

    assert error.line == 4
    assert "Address" in error.reason


def test_an_address_of_ipv4_is_needed():
    text = conf("Address = fd00::2", without="Address = 10")
    error = refusal(text.replace("AllowedIPs = ", "AllowedIPs = ::/0, "))

    assert "none of IPv4" in error.reason


def test_more_addresses_than_anybody_has_are_refused():
    many = ", ".join(f"10.9.0.{n}" for n in range(1, 18))

    assert "more than 16 addresses" in refusal(conf(f"Address = {many}")).reason


def test_the_first_resolvers_of_very_many_are_enough():
    found = parsed(conf("DNS = " + " ".join(f"10.9.0.{n}" for n in range(1, 30))))

    assert len(found.spec.dns) == 16
    assert found.ignored == (Ignored("DNS", "the first 16 are enough", 4),)


def test_resolvers_are_told_from_search_domains():
    found = parsed(conf("DNS = 10.2.0.1, home.example, 9.9.9.9 lan\nDNS = 9.9.9.9"))

    assert found.spec.dns == ("10.2.0.1", "9.9.9.9")
    assert found.ignored == (Ignored("DNS", "search domains are not used", 4),)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.251"])
def test_a_resolver_that_none_can_be_is_left_out(address):
    found = parsed(conf(f"DNS = {address}"))

    assert found.spec.dns == ()
    assert found.ignored[0].key == "DNS"


@pytest.mark.parametrize(
    ("wanted", "mtu", "reported"),
    [
        ("1420", 1420, False), ("1280", 1280, False), ("1320", 1320, False), ("", 1420, False),
        ("0", 1420, False), ("1500", 1420, True), ("9000", 1420, True), ("576", 1280, True),
    ],
)  # fmt: skip
def test_the_mtu_is_kept_within_what_works(wanted, mtu, reported):
    found = parsed(conf(f"MTU = {wanted}"))

    assert (found.spec.mtu, bool(found.ignored)) == (mtu, reported)


@pytest.mark.parametrize(
    ("wanted", "keepalive"),
    [("", 25), ("off", 25), ("OFF", 25), ("0", 25), ("15", 15), ("1", 1), ("25", 25), ("3600", 25)],
)
def test_a_smaller_keepalive_wins(wanted, keepalive):
    assert parsed(conf(peer=f"PersistentKeepalive = {wanted}")).spec.keepalive == keepalive


@pytest.mark.parametrize(
    "line", ["MTU = big", "MTU = -1", "MTU = 1e3", "MTU = \u0661\u0664\u0662\u0660"]
)
def test_an_mtu_that_is_no_number_is_refused(line):
    assert "MTU is not a number" in refusal(conf(line)).reason


@pytest.mark.parametrize("wanted", ["65536", "-1", "often", "25s"])
def test_a_keepalive_that_is_no_number_of_seconds_is_refused(wanted):
    assert "PersistentKeepalive" in refusal(conf(peer=f"PersistentKeepalive = {wanted}")).reason


# --- AllowedIPs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "allowed",
    [
        "0.0.0.0/1, 128.0.0.0/1",
        "0.0.0.0/2, 64.0.0.0/2, 128.0.0.0/2, 192.0.0.0/2",
        "10.0.0.0/8, 0.0.0.0/0",
        "1.2.3.4/0",
        "+0.0.0.0/0, -10.0.0.0/8",
        "::/0, 0.0.0.0/0, 0.0.0.0/0",
    ],
)
def test_all_of_the_internet_in_pieces_is_all_of_it(allowed):
    found = parsed(conf().replace("0.0.0.0/0", allowed))

    assert "AllowedIPs = 0.0.0.0/0" in found.used


def test_networks_of_the_house_may_be_left_out():
    (ignored,) = (
        one
        for one in parsed((CORPUS / "app-excludes-private-networks.conf").read_bytes()).ignored
        if one.key == "AllowedIPs"
    )
    assert "local networks are left out" in ignored.why


@pytest.mark.parametrize(
    ("allowed", "says"),
    [
        ("", "AllowedIPs is empty"),
        ("0.0.0.0/1", "covers only 0.0.0.0/1"),
        ("::/0", "covers only ::/0"),
        ("10.0.0.0/8, 192.168.0.0/16", "covers only 10.0.0.0/8, 192.168.0.0/16"),
        ("0.0.0.0/0, -0.0.0.0/0", "AllowedIPs is empty"),
        ("1.0.0.0/8, 3.0.0.0/8, 5.0.0.0/8, 7.0.0.0/8", "5.0.0.0/8 and 1 more"),
        ("0.0.0.0/33", "no network"),
        ("0.0.0.0/0.0.0.0", "no network"),
        ("0.0.0.0/0;::/0", "no network"),
        ("0.0.0.0/0 ::/0", "no network"),
        ("all", "no network"),
        ("+-0.0.0.0/0", "no network"),
        ("-", "no network"),
        ("fe80::%eth0/10", "no network"),
        ("$(reboot)", "no network"),
    ],
)
def test_what_does_not_lead_to_the_internet_is_refused(allowed, says):
    text = conf().replace("0.0.0.0/0", allowed)
    error = refusal(text)

    assert error.line == 7
    assert says in error.reason


def test_the_peer_that_leads_to_the_internet_is_used():
    other = f"[Peer]\nPublicKey = {SHARED}\nAllowedIPs = 10.0.0.0/8\nEndpoint = other.example:1\n"
    for text in (conf(peer=other), conf().replace("[Peer]", other + "[Peer]")):
        found = parsed(text)
        assert found.spec.public_key == THEIRS
        assert [ignored.key for ignored in found.ignored] == ["[Peer]"]


def test_of_several_that_do_the_last_is_used():
    other = f"[Peer]\nPublicKey = {SHARED}\nAllowedIPs = 0.0.0.0/0\nEndpoint = 203.0.113.5:1"

    assert parsed(conf(peer=other)).spec.public_key == SHARED


@given(st.lists(st.integers(0, 2**32 - 1), max_size=6), st.randoms(use_true_random=False))
def test_any_way_to_divide_the_internet_is_all_of_it(points, shuffled):
    pieces = ["0.0.0.0/0"]
    for point in points:
        holds = next(piece for piece in pieces if covers(piece, point))
        address, length = holds.split("/")
        if int(length) == 32:
            continue
        pieces.remove(holds)
        half = 2 ** (31 - int(length))
        pieces += [
            f"{address}/{int(length) + 1}",
            f"{dotted(number(address) + half)}/{int(length) + 1}",
        ]
    shuffled.shuffle(pieces)

    assert coverage(pieces).is_exit
    assert len(pieces) == 1 or coverage(pieces).v4 == coverage(["0.0.0.0/0"]).v4


def number(address: str) -> int:
    return int.from_bytes(bytes(map(int, address.split("."))), "big")


def dotted(number: int) -> str:
    return ".".join(map(str, number.to_bytes(4, "big")))


def covers(network: str, point: int) -> bool:
    address, length = network.split("/")
    return (point ^ number(address)) >> (32 - int(length)) == 0


# --- endpoints ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [
        ("203.0.113.7:1", "203.0.113.7", 1),
        ("203.0.113.7 : 65535", "203.0.113.7", 65535),
        ("[2001:DB8::7]:51820", "2001:db8::7", 51820),
        ("VPN.Example.ORG.:443", "vpn.example.org", 443),
        ("a_b.xn--mnchen-3ya.example:1", "a_b.xn--mnchen-3ya.example", 1),
        ("1.vpn.example:1", "1.vpn.example", 1),
    ],
)
def test_a_server_is_an_address_or_a_name(endpoint, host, port):
    spec = parsed(conf(peer=f"Endpoint = {endpoint}")).spec

    assert (spec.host, spec.port) == (host, port)


@pytest.mark.parametrize(
    "endpoint",
    [
        "vpn.example.org", "vpn.example.org:", ":51820", "vpn.example.org:0",
        "vpn.example.org:65536", "vpn.example.org:https", "vpn.example.org:-1",
        "vpn.example.org:1:2", "2001:db8::7:51820",
        "[2001:db8::7]", "[2001:db8::7]51820", "[vpn.example.org]:1", "[203.0.113.7]:1",
        "$(reboot):51820", "`reboot`.example:1", "a;reboot.example:1", "a|b.example:1",
        "vpn..example:1", "-a.example:1", "a-.example:1", f"{'a' * 64}.example:1",
        f"{'a.' * 130}example:1", "m\u00fcnchen.example:1", "127.1:1", "2130706433:1", "0x7f.1:1",
        "0x7f000001:1", "203.0.113.300:1", "203.0.113:1", "0203.0.0.1:1", "[fe80::1%eth0]:1",
        "user@vpn.example:1", "http://vpn.example:1", "vpn.example/x:1", "vpn.example:\u0661",
    ],
)  # fmt: skip
def test_a_server_that_is_neither_is_refused(endpoint):
    error = refusal(conf("DNS = 9.9.9.9", f"Endpoint = {endpoint}"))

    assert (error.line, "Endpoint" in error.reason) == (9, True)
    assert "reboot" not in str(error)


HOUSE = [
    "192.168.1.1:1", "10.0.0.1:1", "172.16.0.1:1", "172.31.255.255:1", "127.0.0.1:1", "127.9.9.9:1",
    "169.254.1.1:1", "100.64.0.1:1", "[::1]:1", "[fe80::1]:1", "[fd00::1]:1", "[::ffff:10.0.0.1]:1",
    "[64:ff9b::192.168.1.1]:1", "[2002:c0a8:0101::1]:1", "localhost:1", "nas:1", "nas.local:1",
    "vpn.fritz.box:1", "a.home.arpa:1",
]  # fmt: skip


@pytest.mark.parametrize("endpoint", HOUSE)
def test_a_server_in_the_house_is_refused_unless_it_was_said_to_be_fine(endpoint):
    text = conf(peer=f"Endpoint = {endpoint}")

    assert "local network" in refusal(text).reason
    assert parsed(text, lan_ok=True).spec.port == 1


@pytest.mark.parametrize(
    "endpoint",
    ["224.0.0.1:1", "239.1.1.1:1", "255.255.255.255:1", "0.0.0.0:1", "[::]:1", "[ff02::1]:1"],
)
def test_a_server_that_is_everybody_or_nobody_is_refused_always(endpoint):
    assert refusal(conf(peer=f"Endpoint = {endpoint}"), lan_ok=True).line == 9


# --- whatever comes -------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(line for path in FILES for line in path.read_text().splitlines()),
        "[Interface]", "[Peer]", "Endpoint = [::1]:0", "AllowedIPs = -", "\0", "\ufeff", "=", "[",
        "#",
        "\r", "Address = /", "Address = ,", "DNS = ,", "MTU = " + "9" * 400, "Endpoint = [", "[]",
        "PrivateKey = " + "=" * 44, "AllowedIPs = ::/129", "Endpoint = []:1", "Endpoint = ::",
    ]
)  # fmt: skip


def judge(content: str | bytes) -> bool:
    """Whatever comes is parsed, or refused in words that fit on a line and quote no key."""
    found, said = None, ""
    try:
        found = parse(content, name="some.conf")
        said = repr((found.used, found.ignored))
    except ConfRefusedError as error:
        said = str(error)
    if found is None:
        assert said.startswith(("some.conf: ", "some.conf, line "))
        assert said.isprintable()
        assert len(said) < 400
    else:
        assert found.spec.addresses
        assert 0 < found.spec.port < 65536
        assert 1280 <= found.spec.mtu <= 1420
        assert 0 < found.spec.keepalive <= 25
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    for key in re.findall(r"[0-9A-Za-z+/]{43}=", text):
        assert key not in said
    return found is not None


@settings(max_examples=1500, deadline=None)
@given(st.lists(PIECES, max_size=30).map("\n".join))
@example("[interface]\n[peer]\nallowedips=-::/0")
def test_lines_in_any_order_are_a_file_or_refused(text):
    judge(text)


@settings(max_examples=1500, deadline=None)
@given(st.text(max_size=400) | st.binary(max_size=400))
def test_anything_at_all_is_a_file_or_refused(content):
    judge(content)


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(["PrivateKey", "Address", "DNS", "MTU", "PublicKey", "AllowedIPs", "Endpoint"]),
    st.text(max_size=60) | st.from_regex(r"[0-9a-f:.\[\]/%,+ -]{0,40}", fullmatch=True),
)
def test_any_value_is_taken_or_refused(key, value):
    where = "[Interface]" if key in {"PrivateKey", "Address", "DNS", "MTU"} else "[Peer]"
    judge(conf().replace(where, f"{where}\n{key} = {value}"))


@pytest.mark.timeout(60)
def test_ten_thousand_damaged_files_parse_or_are_refused():
    chance = random.Random(20261122)
    originals = [path.read_bytes() for path in FILES]
    outcomes = {True: 0, False: 0}
    for _ in range(10_000):
        outcomes[judge(damaged(chance.choice(originals), chance))] += 1
    # Both happen, or the damage would prove nothing.
    assert min(outcomes.values()) > 1000


def damaged(content: bytes, chance: random.Random) -> bytes:
    work = bytearray(content)
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(work) + 1)
        match chance.randrange(6):
            case 0:
                work[at:at] = chance.randbytes(chance.randint(1, 4))
            case 1:
                del work[at : at + chance.randint(1, 40)]
            case 2 if at < len(work):
                work[at] ^= 1 << chance.randrange(8)
            case 3:
                work[at:at] = chance.choice([b"\r\n", b"=", b"[Peer]\n", b"#", b"\0", b",", b" "])
            case 4:
                lines = work.split(b"\n")
                chance.shuffle(lines)
                work = bytearray(b"\n".join(lines))
            case _:
                lines = work.split(b"\n")
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                work = bytearray(b"\n".join(lines))
    return bytes(work)


def test_the_largest_file_that_is_read_takes_no_longer_than_a_moment():
    text = (
        conf() + "\nAllowedIPs = " + ",".join(f"11.{n >> 8}.{n & 255}.0/24" for n in range(14_000))
    )
    assert len(text) < 256 * 1024

    assert parsed(text).spec.host == "vpn.example.org"


@pytest.mark.parametrize("entry", ["", "x", "1.2.3.4/x", "::/200", "+", "1.2.3.4/"])
def test_an_entry_that_is_no_network_is_one_of_ours_to_catch(entry):
    with pytest.raises(BadNetworkError):
        coverage([entry])
