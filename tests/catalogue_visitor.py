"""Somebody who looks at what there is to watch, over HTTP."""

from dataclasses import dataclass
from typing import Any

from miauflixd.auth.model import User
from tests.web_house import Web


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody of the household, signed in."""

    web: Web
    user: User
    token: str

    async def get(self, path: str, *, status: int = 200) -> Any:
        """Return what is answered, which has to have this status."""
        said = await self.web.ask("GET", path, token=self.token)
        assert said.status == status, (path, said.status, said.body)
        return said.body

    async def titles(self, path: str) -> list[str]:
        """Return what the titles in an answer are called, in their order."""
        return [one["title"] for one in (await self.get(path))["items"]]

    async def rows(self) -> dict[str, list[str]]:
        """Return the titles of each row of the home page, in order."""
        rows = (await self.get("/api/home"))["rows"]
        found = {row["id"]: [item["title"] for item in row["items"]] for row in rows}
        assert len(found) == len(rows)
        return found

    async def play(self, title_id: object, *, position: float, duration: float = 3600.0) -> None:
        """Pause at a position, in seconds."""
        said = {"position": position, "duration": duration, "state": "paused"}
        answer = await self.web.ask("PUT", f"/api/progress/{title_id}", said, token=self.token)
        assert answer.status == 204, answer.body

    async def read_in(self, language: str) -> None:
        """Prefer a language from now on."""
        answer = await self.web.ask("PATCH", "/api/me", {"language": language}, token=self.token)
        assert answer.status == 200, answer.body

    async def limit_to(self, rating: str | None) -> None:
        """Have an administrator allow no more than this."""
        answer = await self.web.ask(
            "PATCH",
            f"/api/users/{self.user.id}",
            {"max_rating": rating},
            token=await self.web.token_of(await self.web.admin()),
        )
        assert answer.status == 200, answer.body


async def visitor(web: Web, name: str) -> Visitor:
    """Return somebody new who has just signed in."""
    user = await web.add(name)
    return Visitor(web=web, user=user, token=await web.token_of(user))
