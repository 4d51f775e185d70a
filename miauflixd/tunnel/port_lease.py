"""When to ask a gateway for a port, and which port is ours now: without a socket or a clock.

UDP and TCP are granted apart, and peers are told one number for both. TCP's counts: it is asked
for with UDP's as a wish, and where the gateway gives another one all the same, UDP is asked for
with TCP's. Only where TCP is refused is UDP's port better than none.

Invariants: a port is ours only until the end of what was granted, is never 0, and is none until
the gateway has said something about TCP.
"""

from dataclasses import dataclass, replace
from typing import Literal

from miauflixd.tunnel.nat_pmp import Answer, Result, Transport, request

LEASE = 60
"""Seconds that are asked for; Proton gives no more."""

_INTERNAL = 1
"""Proton forwards to our port of the same number as its own when asked for this one, which is what
it tells people to do; asked for a real one, it forwards there, and every one of them is another
mapping."""

_LOWEST = 1024
"""The engine has no privileges, and cannot listen below."""

_RETRIES = (0.25, 0.5, 1.0, 2.0)
"""Seconds between a question and its repetition: a renewal at half of the lease survives the loss
of five packets, and then some."""

_THEN = 2.0
_SILENT_AFTER = 30
"""Repetitions after which a gateway that grants nothing is asked less often (about a minute)."""

_SILENT = 10.0
_REFUSED = 60.0
"""Seconds until somebody who does not want to is asked again."""

_TRANSIENT = 10.0
"""The same for one who cannot now."""

_GRACE = 4.0
"""Seconds that a port outlives its mapping when the gateway has lost its table: long enough for an
answer to arrive that usually says the same."""

_LATE = 2.0
"""Seconds by which a gateway's clock may be behind ours (RFC 6886, 3.6, with 1/8 of drift)."""

_WORDS = {
    Result.UNSUPPORTED_VERSION: "does not know this protocol (NAT-PMP)",
    Result.NOT_AUTHORISED: "does not forward ports for us; it may have to be switched on there",
    Result.NETWORK_FAILURE: "has no network of its own at the moment",
    Result.OUT_OF_RESOURCES: "has no port left",
    Result.UNSUPPORTED_OPERATION: "does not forward ports",
}
_UNUSABLE = "named a port or a time that cannot be used"
_UNKNOWN = "refuses for a reason that nobody knows"
_UNREACHABLE = "has nobody who forwards ports"

Kind = Literal["forwarded", "none", "unsupported", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How it stands with the port."""

    kind: Kind
    port: int | None
    """Where peers reach us, for TCP and UDP; set exactly when `forwarded`."""
    reason: str
    """Why it is so, a sentence for people."""
    next: str
    """What happens next, a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is known of one of the two transports."""

    due: float
    """When to ask (again)."""
    tries: int = 0
    """How often it was asked since the last answer."""
    port: int | None = None
    expires: float = 0.0
    refusal: str | None = None
    """What the gateway said last instead of granting."""
    unsupported: bool = False
    """That was for ever, as far as anybody knows."""

    def held(self, now: float) -> int | None:
        """Return the port, while it is granted."""
        return self.port if now < self.expires else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What is known of one gateway; times are those of a clock that never jumps."""

    udp: Side
    tcp: Side
    epoch: tuple[int, float] | None = None
    """What the gateway's clock said last, and when."""


def begin(now: float) -> Lease:
    """Return the lease of a gateway that was never asked: UDP at once, TCP when it has answered."""
    return Lease(udp=Side(due=now), tcp=Side(due=now + sum(_RETRIES)))


def port(lease: Lease, now: float) -> int | None:
    """Return the port at which peers reach us now."""
    held = lease.tcp.held(now)
    if held is None and lease.tcp.refusal is not None:
        return lease.udp.held(now)
    return held


def wake_at(lease: Lease, now: float) -> float:
    """Return when something is to be done, or changes by itself."""
    sides = (lease.udp, lease.tcp)
    ends = [side.expires for side in sides if now < side.expires]
    return min([side.due for side in sides] + ends)


def ask(lease: Lease, now: float) -> tuple[Lease, tuple[bytes, ...]]:
    """Return what is to be sent now; questions that were not answered are among it."""
    sent = []
    wish = port(lease, now) or lease.udp.held(now) or 0
    for transport in Transport:
        side = _side(lease, transport)
        if side.due <= now:
            sent.append(request(transport, internal=_INTERNAL, external=wish, lifetime=LEASE))
            asked = replace(side, due=now + _pause(side, now), tries=side.tries + 1)
            lease = _with(lease, transport, asked)
    return lease, tuple(sent)


def hear(lease: Lease, answer: Answer, now: float) -> Lease:
    """Return what is known after an answer."""
    lost = _lost_table(lease, answer, now)
    before = port(lease, now)
    lease = replace(lease, epoch=(answer.epoch, now))
    lease = _with(lease, answer.transport, _answered(answer, now))
    other = Transport.TCP if answer.transport is Transport.UDP else Transport.UDP
    side = _side(lease, other)
    if lost:
        side = replace(side, due=now, tries=0, expires=min(side.expires, now + _GRACE))
    elif answer.transport is Transport.UDP and _never_heard(side):
        side = replace(side, due=min(side.due, now))
    elif port(lease, now) not in {before, side.held(now)} and side.refusal is None:
        side = replace(side, due=now, tries=0)
    return _with(lease, other, side)


def nobody_there(lease: Lease, now: float) -> Lease:
    """Return what is known after word came that nothing listens at the gateway.

    While something is granted that is a question lost like any other: it may be starting anew.
    """
    if lease.udp.held(now) or lease.tcp.held(now):
        return lease
    nobody = Side(due=now + _REFUSED, refusal=_UNREACHABLE, unsupported=True)
    return Lease(udp=nobody, tcp=nobody)


def describe(lease: Lease, now: float) -> Condition:
    """Return how it stands with the port, for people."""
    held = port(lease, now)
    if held is not None:
        reason = f"The gateway lets port {held} through"
        return Condition(kind="forwarded", port=held, reason=reason, next="It is renewed in time")
    tcp, udp = lease.tcp, lease.udp
    refusal = tcp.refusal or udp.refusal
    if refusal is None or (_never_heard(tcp) and tcp.tries <= len(_RETRIES)):
        asked = tcp.tries + udp.tries > len(_RETRIES)
        reason = "The gateway does not answer" if asked else "The gateway is being asked"
        return Condition(kind="none", port=None, reason=reason, next="It is asked until it answers")
    return Condition(
        kind="unsupported" if tcp.unsupported and udp.unsupported else "refused",
        port=None,
        reason=f"The gateway {refusal}",
        next="It is asked again every now and then",
    )


def _answered(answer: Answer, now: float) -> Side:
    if answer.result is Result.SUCCESS and answer.external >= _LOWEST and answer.lifetime > 0:
        return Side(
            due=now + answer.lifetime / 2, port=answer.external, expires=now + answer.lifetime
        )
    if answer.result is Result.SUCCESS:
        words = _UNUSABLE
    else:
        words = _UNKNOWN if answer.result is None else _WORDS[answer.result]
    unsupported = answer.result in {Result.UNSUPPORTED_VERSION, Result.UNSUPPORTED_OPERATION}
    final = unsupported or answer.result is Result.NOT_AUTHORISED
    return Side(
        due=now + (_REFUSED if final else _TRANSIENT), refusal=words, unsupported=unsupported
    )


def _lost_table(lease: Lease, answer: Answer, now: float) -> bool:
    if lease.epoch is None:
        return False
    epoch, heard = lease.epoch
    return answer.epoch + _LATE < epoch + (now - heard) * 7 / 8


def _never_heard(side: Side) -> bool:
    return side.port is None and side.refusal is None


def _pause(side: Side, now: float) -> float:
    if side.tries < len(_RETRIES):
        return _RETRIES[side.tries]
    silent = side.tries >= _SILENT_AFTER and side.held(now) is None
    return _SILENT if silent else _THEN


def _side(lease: Lease, transport: Transport) -> Side:
    return lease.udp if transport is Transport.UDP else lease.tcp


def _with(lease: Lease, transport: Transport, side: Side) -> Lease:
    if transport is Transport.UDP:
        return replace(lease, udp=side)
    return replace(lease, tcp=side)
