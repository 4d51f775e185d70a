"""What can go wrong on the way out and back."""

from typing import Literal

from miauflixd.errors import UnavailableError

Reason = Literal[
    "name",  # it has no address
    "refused",  # we do not go there: a private address, a strange scheme, a bad redirect
    "connect",  # nobody answers there
    "tls",  # somebody answers who cannot prove who he is
    "timeout",  # too slow
    "too_large",  # more than was wanted
    "protocol",  # an answer that makes no sense, or that broke off
    "socket",  # no socket to be had
]


class EgressError(UnavailableError):
    """A request got no answer that can be used. The message names the host and nothing else."""

    code = "egress_failed"

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason: Reason = reason
