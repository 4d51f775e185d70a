"""The lab's own pure parts, and the quick set of faults."""

import struct
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.lab.canaries import Canaries
from tests.lab.faults import FAULTS
from tests.lab.household import map_port
from tests.lab.names import answer
from tests.lab.packets import Rules, filter_program, judge
from tests.lab.report import summary

ROOT = Path(__file__).parent.parent

HOUSE, SERVER, STRANGER = "192.168.1.50", "185.213.0.11", "45.83.20.11"
CANARIES = Canaries(hashes=[bytes(range(20))])
RULES = Rules(servers=[SERVER], port=51820, gateways=["192.168.1.1"], canaries=CANARIES)
INITIATION = b"\x01\0\0\0" + bytes(144)


def frame(protocol: int, source: str, target: str, payload: bytes) -> bytes:
    addresses = ip_address(source).packed + ip_address(target).packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    return bytes(12) + b"\x08\x00" + header + addresses + payload


def frame6(protocol: int, target: str, payload: bytes) -> bytes:
    addresses = ip_address("2a02::1").packed + ip_address(target).packed
    header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255)
    return bytes(12) + b"\x86\xdd" + header + addresses + payload


def udp(source: str, target: str, payload: bytes, *, ports: tuple[int, int]) -> bytes:
    header = struct.pack("!HHHH", *ports, 8 + len(payload), 0)
    return frame(17, source, target, header + payload)


def kind_of(sent: bytes, *, outgoing: bool = True) -> str | None:
    finding = judge(sent, outgoing=outgoing, rules=RULES)
    return finding.kind if finding else None


def run_filter(program: bytes, packet: bytes) -> int:
    """Do what the kernel does with the instructions that the filter is made of."""
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, index, line = 0, 0, 0
    while True:
        code, yes, no, value = lines[line]
        line += 1
        size = {0x28: 2, 0x48: 2, 0x20: 4, 0x40: 4, 0x30: 1}.get(code)
        if size is not None:
            place = value + (index if code in {0x40, 0x48} else 0)
            accumulator = int.from_bytes(packet[place : place + size])
        elif code == 0x15:
            line += yes if accumulator == value else no
        elif code == 0x45:
            line += yes if accumulator & value else no
        elif code == 0xB1:
            index = 4 * (packet[value] & 15)
        elif code == 0x05:
            line += value
        else:
            assert code == 0x06
            return int(value)


# --- what may be on the uplink --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_wireguard_to_and_from_a_server_may_pass(kind):
    payload = bytes([kind, 0, 0, 0]) + bytes(28)
    assert kind_of(udp(HOUSE, SERVER, payload, ports=(40000, 51820))) is None
    assert kind_of(udp(SERVER, HOUSE, payload, ports=(51820, 40000)), outgoing=False) is None


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (udp(HOUSE, SERVER, b"\x09\0\0\0", ports=(40000, 51820)), "UDP"),
        (udp(HOUSE, STRANGER, INITIATION, ports=(40000, 51820)), "UDP"),
        (udp(HOUSE, "1.1.1.1", b"a question", ports=(40000, 53)), "DNS"),
        (udp(HOUSE, "239.255.255.250", b"M-SEARCH", ports=(40000, 1900)), "SSDP"),
        (udp(HOUSE, "192.168.1.1", b"\0\0", ports=(40000, 5351)), "NAT-PMP"),
        (frame(2, HOUSE, "239.255.255.250", bytes(8)), "IGMP"),
        (frame(6, HOUSE, STRANGER, struct.pack("!HHIIBBHI", 1, 6881, 0, 0, 80, 2, 0, 0)), "TCP"),
        (frame(1, HOUSE, "1.1.1.1", b"\x08\0" + bytes(30)), "ICMP 8"),
    ],
)
def test_anything_else_from_the_house_is_found(sent, kind):
    assert kind_of(sent) == kind


def test_the_house_may_ask_its_gateway_for_an_echo():
    assert kind_of(frame(1, HOUSE, "192.168.1.1", b"\x08\0" + bytes(30))) is None
    assert kind_of(udp(HOUSE, "192.168.1.1", b"", ports=(40000, 9))) is None
    assert kind_of(udp(HOUSE, "192.168.1.1", b"word", ports=(40000, 9))) == "UDP"


def test_the_kernel_may_look_for_its_neighbours():
    assert kind_of(bytes(12) + b"\x08\x06" + bytes(28)) is None
    assert kind_of(frame6(58, "ff02::1:ff00:1", b"\x87" + bytes(23))) is None


def test_joining_a_group_of_torrents_is_found():
    def report(group: str) -> bytes:
        record = struct.pack("!BBH", 4, 0, 0) + ip_address(group).packed
        return frame6(58, "ff02::16", b"\x8f\0" + bytes(4) + b"\0\1" + record)

    assert kind_of(report("ff02::1:ff00:1")) is None
    assert kind_of(report("ff15::efc0:988f")) == "MLD"


@pytest.mark.parametrize("outgoing", [True, False])
def test_a_canary_is_found_in_both_directions(outgoing):
    for mark in (bytes(range(20)), bytes(range(20)).hex().upper().encode(), CANARIES.magic):
        sent = udp(STRANGER, HOUSE, b"..." + mark, ports=(1, 2))
        assert (kind_of(sent, outgoing=outgoing) or "").startswith("canary")


def test_the_filter_for_the_kernel_drops_exactly_what_is_allowed():
    program = filter_program(RULES)
    allowed = udp(HOUSE, SERVER, INITIATION, ports=(40000, 51820))
    back = udp(SERVER, HOUSE, INITIATION, ports=(51820, 40000))
    fragment = bytearray(allowed)
    fragment[20] = 0x20
    others = [
        udp(HOUSE, SERVER, b"\x09\0\0\0", ports=(40000, 51820)),
        udp(HOUSE, STRANGER, INITIATION, ports=(40000, 51820)),
        udp(HOUSE, SERVER, INITIATION, ports=(40000, 53)),
        frame(6, HOUSE, SERVER, struct.pack("!HH", 1, 51820) + INITIATION),
        frame6(17, "2a02::2", struct.pack("!HHHH", 1, 51820, 8, 0) + INITIATION),
        bytes(fragment),
    ]
    assert [run_filter(program, packet) for packet in (allowed, back)] == [0, 0]
    assert all(run_filter(program, packet) > 0 for packet in others)


# --- fakes ----------------------------------------------------------------------------------------


def test_the_name_server_knows_its_zone_and_nothing_else():
    def ask(name: bytes, kind: int) -> bytes:
        return b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + struct.pack("!HH", kind, 1)

    zone = {"a.example": ["1.2.3.4", "2a02::1"]}
    name, reply = answer(ask(b"\1A\7example\0", 1), zone) or ("", b"")
    assert (name, reply[-4:]) == ("a.example", bytes([1, 2, 3, 4]))
    _, reply = answer(ask(b"\1b\7example\0", 1), zone) or ("", b"")
    assert reply[3] & 15 == 3
    assert answer(b"short", zone) is None


def test_the_gateway_gives_the_port_that_it_was_told_to():
    request = struct.pack("!BBHHHI", 0, 2, 0, 6881, 0, 60)
    reply = map_port(request, external=41001, address="1.2.3.4")
    assert reply is not None
    assert struct.unpack("!BBHIHHI", reply) == (0, 130, 0, 1000, 6881, 41001, 60)


# --- results --------------------------------------------------------------------------------------


def test_percentiles_are_values_that_were_measured():
    assert summary([3.0, 1.0, 2.0]) == {
        "n": 3,
        "min": 1.0,
        "p50": 2.0,
        "p95": 3.0,
        "p99": 3.0,
        "max": 3.0,
    }


def test_every_fault_has_its_own_number_and_the_quick_set_is_no_small_one():
    numbers = [fault.id for fault in FAULTS]
    assert len(numbers) == len(set(numbers))
    assert sum(fault.smoke for fault in FAULTS) >= 15


# --- the lab --------------------------------------------------------------------------------------


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts/lab", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.netns
@pytest.mark.timeout(120)
def test_every_switch_of_the_lab_switches_and_its_witness_sees():
    ran = lab("check")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.netns
@pytest.mark.timeout(120)
def test_a_client_that_is_bound_to_an_interface_leaks():
    ran = lab("control")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.netns
@pytest.mark.timeout(400)
def test_a_product_that_is_broken_on_purpose_does_not_pass():
    ran = lab("mutations")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.netns
@pytest.mark.timeout(600)
def test_nothing_leaks_and_the_film_plays_on_whatever_goes_wrong():
    # How fast it is, `scripts/lab smoke` judges, on a machine that does nothing else.
    ran = lab("smoke", "--no-control", "--patience", "4")
    assert ran.returncode == 0, ran.stdout + ran.stderr
