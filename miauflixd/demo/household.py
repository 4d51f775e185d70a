"""The first account of a daemon that we have started, made the way a household makes it."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

from miauflixd.demo.daemon import DaemonDiedError, DaemonProcess

_WITHIN = aiohttp.ClientTimeout(total=20)
"""For an answer; hashing a password takes a tenth of a second, on a Raspberry Pi half of one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """What somebody signs in with."""

    email: str
    password: str = field(repr=False)


async def sign_in(daemon: DaemonProcess, login: Login) -> str:
    """Return an access token of the administrator, who is made when there is nobody yet.

    Raises:
        DaemonDiedError: it does not answer, or not as it should.
    """
    try:
        async with aiohttp.ClientSession(timeout=_WITHIN) as session:
            async with session.get(f"{daemon.url}/api/server") as answer:
                server = await _told(answer, HTTPStatus.OK)
            if server["setup_required"]:
                await _set_up(daemon, session, login)
            body = {"email": login.email, "password": login.password, "device_name": "The demo"}
            async with session.post(f"{daemon.url}/api/auth/login", json=body) as answer:
                token: str = (await _told(answer, HTTPStatus.OK))["access_token"]
                return token
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DaemonDiedError(f"The daemon does not answer: {error}") from error


async def _set_up(daemon: DaemonProcess, session: aiohttp.ClientSession, login: Login) -> None:
    control = aiohttp.UnixConnector(str(daemon.control_socket))
    async with (
        aiohttp.ClientSession(connector=control, timeout=_WITHIN) as administrator,
        administrator.post("http://localhost/api/setup/code") as answer,
    ):
        code = (await _told(answer, HTTPStatus.OK))["setup_code"]
    body = {
        "setup_code": code,
        "email": login.email,
        "password": login.password,
        "display_name": "Demo",
    }
    async with session.post(f"{daemon.url}/api/setup", json=body) as answer:
        await _told(answer, HTTPStatus.CREATED)


async def _told(answer: aiohttp.ClientResponse, status: HTTPStatus) -> dict[str, Any]:
    if answer.status != status:
        raise DaemonDiedError(f"The daemon refuses: {await answer.text()}")
    told: dict[str, Any] = await answer.json()
    return told
