"""The tunnel: how it is, where it leads, and where it may lead."""

from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET

from miauflixd.auth.model import Role
from miauflixd.runtime.secrets import Secret
from miauflixd.tunnel.importing import File
from miauflixd.tunnel.model import Credentials, EndpointId, RungId, RungView
from miauflixd.web.bodies import FieldProblem, InvalidFieldsError, answer, json_body, query
from miauflixd.web.forms import files_of_form
from miauflixd.web.keys import ENDPOINTS, LIMITS, TUNNEL
from miauflixd.web.paging import Page, PageQuery, page_of
from miauflixd.web.routes import Policy, Route
from miauflixd.web.vpn_shapes import (
    Choice,
    ImportQuery,
    ImportShape,
    MullvadAccount,
    NewEndpoint,
    Order,
    PublicShape,
    RungShape,
    TestShape,
    TunnelShape,
    preview_shape,
    public_shape,
    rung_shape,
    test_shape,
    tunnel_shape,
)
from miauflixd.web.who import viewer


async def state(request: web.Request) -> web.Response:
    view = request.app[TUNNEL].view()
    if viewer(request).role is not Role.ADMIN:
        return answer(public_shape(view))
    return answer(tunnel_shape(view))


async def switch(request: web.Request) -> web.Response:
    choice = await _choice(request)
    tunnel = request.app[TUNNEL]
    await tunnel.switch(_endpoint_id(choice))
    # Not done yet, only begun; the state and the events tell how it goes on.
    return answer(tunnel_shape(tunnel.view()), status=HTTPStatus.ACCEPTED)


async def test(request: web.Request) -> web.Response:
    choice = await _choice(request)
    return answer(test_shape(await request.app[TUNNEL].test(_endpoint_id(choice))))


async def endpoints(request: web.Request) -> web.Response:
    wanted = query(request.query, PageQuery)
    ladder = list(enumerate(request.app[ENDPOINTS].rungs()))
    return answer(
        page_of(ladder, wanted, key=_in_order, show=lambda placed: _shape(request, placed[1]))
    )


async def add(request: web.Request) -> web.Response:
    if request.content_type == "multipart/form-data":
        limit = request.app[LIMITS].endpoints
        files = [
            File(name=name, content=content)
            for name, content in await files_of_form(request, limit=limit)
        ]
        return await _add_files(request, files, preview=query(request.query, ImportQuery).preview)
    wanted = await json_body(request, NewEndpoint, limit=request.app[LIMITS].endpoints)
    given = [one is not UNSET for one in (wanted.conf, wanted.nordvpn_token, wanted.mullvad)]
    if sum(given) != 1:
        raise InvalidFieldsError(
            FieldProblem("", "Exactly one of conf, nordvpn_token and mullvad is needed")
        )
    ladder = request.app[ENDPOINTS]
    if wanted.nordvpn_token is not UNSET:
        token = Credentials(token=Secret(wanted.nordvpn_token.strip()))
        return _added(request, await ladder.add_account("nordvpn", token))
    if wanted.mullvad is not UNSET:
        account = _mullvad_credentials(wanted.mullvad)
        return _added(request, await ladder.add_account("mullvad", account))
    sent = wanted.conf if wanted.conf is not UNSET else []
    files = [File(name=one.name, content=one.text.encode()) for one in sent]
    return await _add_files(request, files, preview=wanted.preview)


async def remove(request: web.Request) -> web.Response:
    await request.app[ENDPOINTS].remove(RungId(request.match_info["id"]))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def reorder(request: web.Request) -> web.Response:
    order = await json_body(request, Order)
    await request.app[ENDPOINTS].reorder([RungId(one) for one in order.ids])
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _choice(request: web.Request) -> Choice:
    return await json_body(request, Choice) if request.can_read_body else Choice()


def _endpoint_id(choice: Choice) -> EndpointId | None:
    return None if choice.endpoint_id is None else EndpointId(choice.endpoint_id)


def _in_order(placed: tuple[int, RungView]) -> tuple[float, str]:
    return placed[0], placed[1].id


def _shape(request: web.Request, rung: RungView) -> RungShape:
    tunnel = request.app[TUNNEL]
    endpoint = tunnel.view().endpoint
    return rung_shape(
        rung,
        in_use=None if endpoint is None else endpoint.id,
        penalties=tunnel.statistics().penalties,
    )


def _added(request: web.Request, rung: RungView) -> web.Response:
    response = answer(_shape(request, rung), status=HTTPStatus.CREATED)
    response.headers["Location"] = f"/api/vpn/endpoints/{rung.id}"
    return response


def _mullvad_credentials(account: MullvadAccount) -> Credentials:
    return Credentials(
        token=None if account.account is UNSET else Secret(account.account.strip()),
        private_key=None if account.private_key is UNSET else Secret(account.private_key.strip()),
        addresses=account.addresses,
    )


async def _add_files(request: web.Request, files: list[File], *, preview: bool) -> web.Response:
    ladder = request.app[ENDPOINTS]
    if not files:
        raise InvalidFieldsError(FieldProblem("conf", "At least one file is needed"))
    if preview:
        items = await ladder.preview(files)
        return answer(ImportShape(preview=True, items=[preview_shape(one) for one in items]))
    items = await ladder.add_files(files)
    if all(one.refused is not None for one in items):
        # By file and line, as the settings' mistakes are.
        raise InvalidFieldsError(
            *(
                FieldProblem(
                    one.file if one.line is None else f"{one.file}:{one.line}", one.refused or ""
                )
                for one in items
            )
        )
    return answer(
        ImportShape(preview=False, items=[preview_shape(one) for one in items]),
        status=HTTPStatus.CREATED,
    )


_NO_ENDPOINT = "There is no such endpoint"
_NOT_NOW = "There is no tunnel to do it with, or nothing to do it to"

ROUTES = (
    Route(
        method="GET",
        path="/api/vpn",
        handler=state,
        policy=Policy.USER,
        summary="Show how the tunnel is: all of it to administrators, the gist to others",
        response=TunnelShape | PublicShape,
    ),
    Route(
        method="POST",
        path="/api/vpn/switch",
        handler=switch,
        policy=Policy.ADMIN,
        rate="write",
        summary="Change to an endpoint, or to the next best; events tell how it goes on",
        request=Choice,
        request_required=False,
        response=TunnelShape,
        status=HTTPStatus.ACCEPTED,
        other={HTTPStatus.NOT_FOUND: _NO_ENDPOINT, HTTPStatus.CONFLICT: _NOT_NOW},
    ),
    Route(
        method="POST",
        path="/api/vpn/test",
        handler=test,
        policy=Policy.ADMIN,
        rate="write",
        summary="Try an endpoint beside the one in use",
        request=Choice,
        request_required=False,
        response=TestShape,
        other={
            HTTPStatus.NOT_FOUND: _NO_ENDPOINT,
            HTTPStatus.CONFLICT: _NOT_NOW,
            HTTPStatus.GATEWAY_TIMEOUT: "Nothing was heard of the test",
        },
    ),
    Route(
        method="GET",
        path="/api/vpn/endpoints",
        handler=endpoints,
        policy=Policy.ADMIN,
        summary="List the ladder of endpoints, the most preferred first",
        query=PageQuery,
        response=Page[RungShape],
    ),
    Route(
        method="POST",
        path="/api/vpn/endpoints",
        handler=add,
        policy=Policy.ADMIN,
        rate="write",
        summary="Import WireGuard files, or add an account; a preview answers 200",
        query=ImportQuery,
        request=NewEndpoint,
        request_media=("multipart/form-data",),
        response=ImportShape | RungShape,
        status=HTTPStatus.CREATED,
        other={
            HTTPStatus.OK: "What would come of the files",
            HTTPStatus.NOT_FOUND: "The provider has no servers there",
            HTTPStatus.SERVICE_UNAVAILABLE: "The provider does not answer",
            HTTPStatus.GATEWAY_TIMEOUT: "The provider does not answer in time",
        },
    ),
    Route(
        method="PUT",
        path="/api/vpn/endpoints/order",
        handler=reorder,
        policy=Policy.ADMIN,
        rate="write",
        summary="Let these endpoints be the most preferred, in this order",
        request=Order,
        status=HTTPStatus.NO_CONTENT,
        other={
            HTTPStatus.NOT_FOUND: _NO_ENDPOINT,
            HTTPStatus.CONFLICT: "One of them stands where the settings put it",
        },
    ),
    Route(
        method="DELETE",
        path="/api/vpn/endpoints/{id}",
        handler=remove,
        policy=Policy.ADMIN,
        rate="write",
        summary="Forget an endpoint or an account",
        status=HTTPStatus.NO_CONTENT,
        other={
            HTTPStatus.NOT_FOUND: _NO_ENDPOINT,
            HTTPStatus.CONFLICT: "The settings put it there",
        },
    ),
)
