"""Signing in and out: with a password, with a refresh token, or by way of another device."""

from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET

from miauflixd.auth.device_login import qr_svg, verification_uri_complete
from miauflixd.auth.model import InvalidTokenError, Session, SessionId, Tokens
from miauflixd.web import cookies
from miauflixd.web.auth_shapes import (
    ApprovedShape,
    ApproveShape,
    DeviceCodeShape,
    DeviceShape,
    DeviceTokenShape,
    LoginShape,
    LogoutShape,
    PasswordShape,
    RefreshShape,
    SessionShape,
    SignedInShape,
    session_shape,
    signed_in,
)
from miauflixd.web.authentication import bearer
from miauflixd.web.bodies import answer, json_body, query
from miauflixd.web.keys import CLIENT, HOUSEHOLD
from miauflixd.web.paging import Page, PageQuery, page_of
from miauflixd.web.routes import Policy, Route
from miauflixd.web.user_shapes import named_fields
from miauflixd.web.who import address, own_id, viewer


async def login(request: web.Request) -> web.Response:
    wanted = await json_body(request, LoginShape)
    household = request.app[HOUSEHOLD]
    user = await household.accounts.sign_in(
        email=wanted.email, password=wanted.password, address=address(request)
    )
    tokens = await household.sessions.open(
        user, name=wanted.device_name, address=address(request), device_id=wanted.device_id
    )
    return _signed_in(request, tokens, by_cookies=wanted.cookies)


async def refresh(request: web.Request) -> web.Response:
    wanted = await json_body(request, RefreshShape) if request.can_read_body else RefreshShape()
    by_cookies = wanted.refresh_token is UNSET
    token = _refresh_cookie(request) if wanted.refresh_token is UNSET else wanted.refresh_token
    if token is None:
        raise InvalidTokenError("There is no refresh token in the body, nor in a cookie")
    tokens = await request.app[HOUSEHOLD].sessions.refresh(token, address=address(request))
    return _signed_in(request, tokens, by_cookies=by_cookies)


async def logout(request: web.Request) -> web.Response:
    wanted = await json_body(request, LogoutShape) if request.can_read_body else LogoutShape()
    sessions = request.app[HOUSEHOLD].sessions
    for access in {bearer(request), _access_cookie(request)} - {None}:
        await sessions.log_out(access_token=access, address=address(request))
    said = None if wanted.refresh_token is UNSET else wanted.refresh_token
    for token in {said, _refresh_cookie(request)} - {None}:
        await sessions.log_out(refresh_token=token, address=address(request))
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    cookies.clear(response, secure=request[CLIENT].secure)
    return response


async def sessions(request: web.Request) -> web.Response:
    wanted = query(request.query, PageQuery)
    current = viewer(request).session_id
    found = await request.app[HOUSEHOLD].sessions.of_user(own_id(request))
    return answer(
        page_of(
            found,
            wanted,
            key=_last_used_first,
            show=lambda session: session_shape(session, current=current),
        )
    )


async def end_session(request: web.Request) -> web.Response:
    await request.app[HOUSEHOLD].sessions.end(
        SessionId(request.match_info["session_id"]),
        user_id=own_id(request),
        address=address(request),
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def password(request: web.Request) -> web.Response:
    wanted = await json_body(request, PasswordShape)
    household = request.app[HOUSEHOLD]
    with named_fields(password="new"):  # noqa: S106 - the name of a field
        user = await household.accounts.change_password(
            own_id(request), current=wanted.current, new=wanted.new, address=address(request)
        )
    session_id = viewer(request).session_id
    if session_id is not None:
        await household.sessions.carry_over(session_id, user)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def device(request: web.Request) -> web.Response:
    wanted = await json_body(request, DeviceShape)
    started = request.app[HOUSEHOLD].devices.start(
        name=wanted.device_name, address=address(request)
    )
    client = request[CLIENT]
    # As the device itself has asked: that is where others at home find this machine, too.
    uri = f"{'https' if client.secure else 'http'}://{client.host or 'localhost'}/"
    complete = verification_uri_complete(uri, started.user_code)
    return answer(
        DeviceCodeShape(
            device_code=started.device_code,
            user_code=started.user_code,
            verification_uri=uri,
            verification_uri_complete=complete,
            qr_svg=qr_svg(complete),
            expires_in=started.expires_in,
            interval=started.interval,
        )
    )


async def device_token(request: web.Request) -> web.Response:
    wanted = await json_body(request, DeviceTokenShape)
    tokens = await request.app[HOUSEHOLD].devices.poll(wanted.device_code, address=address(request))
    return _signed_in(request, tokens, by_cookies=wanted.cookies)


async def approve(request: web.Request) -> web.Response:
    wanted = await json_body(request, ApproveShape)
    household = request.app[HOUSEHOLD]
    name = household.devices.decide(
        wanted.user_code,
        approve=wanted.approve,
        user=await household.accounts.get(own_id(request)),
        address=address(request),
    )
    return answer(ApprovedShape(device_name=name, approved=wanted.approve))


def _signed_in(request: web.Request, tokens: Tokens, *, by_cookies: bool) -> web.Response:
    response = answer(signed_in(tokens, cookies=by_cookies))
    if by_cookies:
        cookies.put(response, tokens, secure=request[CLIENT].secure)
    return response


def _access_cookie(request: web.Request) -> str | None:
    return cookies.access_token(request, secure=request[CLIENT].secure)


def _refresh_cookie(request: web.Request) -> str | None:
    return cookies.refresh_token(request, secure=request[CLIENT].secure)


def _last_used_first(session: Session) -> tuple[float, str]:
    return -session.used_at.timestamp(), session.id


_POLL = {
    HTTPStatus.BAD_REQUEST: "`authorization_pending`, `slow_down`, `expired_token`, `access_denied`"
}

ROUTES = (
    Route(
        method="POST",
        path="/api/auth/login",
        handler=login,
        policy=Policy.OPEN,
        rate="sign_in",
        summary="Sign in with e-mail address and password",
        request=LoginShape,
        response=SignedInShape,
        other={HTTPStatus.UNAUTHORIZED: "Address or password are wrong"},
    ),
    Route(
        method="POST",
        path="/api/auth/refresh",
        handler=refresh,
        policy=Policy.OPEN,
        rate="sign_in",
        summary="Exchange a refresh token for the next tokens",
        request=RefreshShape,
        response=SignedInShape,
        other={HTTPStatus.UNAUTHORIZED: "The session is over, or the token was used before"},
    ),
    Route(
        method="POST",
        path="/api/auth/logout",
        handler=logout,
        # Open, since whoever is signed out already is to succeed as well.
        policy=Policy.OPEN,
        rate="write",
        summary="End this session, if it has not ended yet",
        request=LogoutShape,
        status=HTTPStatus.NO_CONTENT,
    ),
    Route(
        method="GET",
        path="/api/auth/sessions",
        handler=sessions,
        policy=Policy.USER,
        summary="List the devices on which one is signed in",
        query=PageQuery,
        response=Page[SessionShape],
    ),
    Route(
        method="DELETE",
        path="/api/auth/sessions/{session_id}",
        handler=end_session,
        policy=Policy.USER,
        rate="write",
        summary="Sign out one of one's devices",
        status=HTTPStatus.NO_CONTENT,
        other={HTTPStatus.NOT_FOUND: "One has no such session"},
    ),
    Route(
        method="POST",
        path="/api/auth/password",
        handler=password,
        policy=Policy.USER,
        rate="sign_in",
        summary="Change one's password, which ends one's other sessions",
        request=PasswordShape,
        status=HTTPStatus.NO_CONTENT,
        other={
            HTTPStatus.CONFLICT: "It was changed in the meantime",
            HTTPStatus.NOT_FOUND: "The account is gone",
        },
    ),
    Route(
        method="POST",
        path="/api/auth/device",
        handler=device,
        policy=Policy.OPEN,
        rate="sign_in",
        summary="Begin to sign in a device without a keyboard",
        request=DeviceShape,
        response=DeviceCodeShape,
    ),
    Route(
        method="POST",
        path="/api/auth/device/token",
        handler=device_token,
        policy=Policy.OPEN,
        rate="sign_in",
        summary="Ask whether somebody has let the device in",
        request=DeviceTokenShape,
        response=SignedInShape,
        other={
            **_POLL,
            HTTPStatus.UNAUTHORIZED: "Whoever let it in is not of this household any more",
        },
    ),
    Route(
        method="POST",
        path="/api/auth/device/approve",
        handler=approve,
        policy=Policy.USER,
        rate="sign_in",
        summary="Let a device in, or refuse it",
        request=ApproveShape,
        response=ApprovedShape,
        other={HTTPStatus.NOT_FOUND: "No device waits with this code"},
    ),
)
