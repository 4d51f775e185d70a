"""Real browsers, which play what a test tells them to."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent / "browser_node"
_WITHIN = 90.0
"""Seconds for anything; two busy cores decode and encode in software."""


def packages(folder: Path) -> Path:
    """Install what drives browsers, and return the folder of the page that they open."""
    node = folder / "node"
    shutil.copytree(_HERE, node, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=node,
        check=True,
        capture_output=True,
        timeout=100,
    )
    page = folder / "page"
    page.mkdir()
    for name in ("index.html", "page.js"):
        shutil.copy(node / name, page)
    shutil.copy(node / "node_modules" / "hls.js" / "dist" / "hls.min.js", page)
    return page


class Browser:
    """A browser with one page open."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def does(self, what: str, *arguments: Any) -> Any:
        """Call a function of the page, and return what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, *arguments]).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.hear()

    async def hear(self) -> Any:
        """Return what is said next."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_WITHIN):
            line = await self._process.stdout.readline()
        assert line, "the browser has ended"
        return json.loads(line)


@asynccontextmanager
async def browser(
    name: str, address: str, *, page: Path, inject: bool = False
) -> AsyncIterator[Browser]:
    """Open a page in `chrome` or `firefox` for the length of the block.

    Args:
        name: which.
        address: of the page.
        page: where our own page is.
        inject: put ours into the one that is there, whatever that allows.
    """
    process = await asyncio.create_subprocess_exec(
        *("node", "play.js", name, address, *(["inject"] if inject else [])),
        cwd=page.parent / "node",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    opened = Browser(process)
    try:
        assert await opened.hear() == "ready"
        yield opened
    finally:
        if process.returncode is None and process.stdin is not None:
            process.stdin.write(b'["end"]\n')
            process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
