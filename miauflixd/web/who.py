"""Who makes a request, as handlers ask it."""

from aiohttp import web

from miauflixd.auth.model import Actor, UserId, Viewer
from miauflixd.catalogue.model import Audience
from miauflixd.errors import ForbiddenError, UnauthenticatedError
from miauflixd.web.keys import CATALOGUE, CLIENT, HOUSEHOLD, VIEWER


class NeedsUserError(ForbiddenError):
    """Only somebody of the household can do this for themselves, not the control socket."""

    code = "needs_user"


def viewer(request: web.Request) -> Viewer:
    """Return who is signed in.

    Raises:
        UnauthenticatedError: nobody is.
    """
    found = request[VIEWER]
    if found is None:
        raise UnauthenticatedError("Sign in first")
    return found


def own_id(request: web.Request) -> UserId:
    """Return which user is signed in.

    Raises:
        UnauthenticatedError: nobody is.
        NeedsUserError: it is the administrator of the machine, who is no user.
    """
    user_id = viewer(request).user_id
    if user_id is None:
        raise NeedsUserError("This is for somebody who has an account. Sign in as one of them")
    return user_id


def address(request: web.Request) -> str:
    """Return from where the request comes."""
    return request[CLIENT].address


def actor(request: web.Request) -> Actor:
    """Return who does something from where, for the audit."""
    found = request[VIEWER]
    return Actor(user_id=None if found is None else found.user_id, address=address(request))


async def audience(request: web.Request) -> Audience:
    """Return for whom an answer is put together: what they read, and what they may see.

    Raises:
        UnauthenticatedError: nobody is signed in.
    """
    user_id = viewer(request).user_id
    accounts = request.app[HOUSEHOLD].accounts
    user = None if user_id is None else await accounts.get(user_id)
    return request.app[CATALOGUE].audience(user)
