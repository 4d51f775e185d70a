"""What is on the disk of one file of the web, and of which version of it."""

import asyncio
import hashlib
from pathlib import Path

from miauflixd.errors import UnavailableError
from miauflixd.torrents.reader import SourceFailedError
from miauflixd.web_files.blocks import Blocks
from miauflixd.web_files.local_file import LocalFile
from miauflixd.web_files.model import BLOCK, Facts


class ChangedError(UnavailableError):
    """What the server has is another file than the one of which we have a part."""

    code = "web_file_changed"


class Holding:
    """The bytes that are here.

    Invariant: a block is in `blocks` only when all its bytes are in the file on the disk, and came
    from the version of the file that `facts` describe.
    """

    def __init__(self, *, index: int, name: str, path: Path) -> None:
        self.path = path
        self.facts: Facts | None = None
        self.blocks = Blocks(index=index, name=name, size=0)
        """Meaningless before the facts are known."""
        self.dirty = False
        """More is here than has been saved."""
        self.saving = asyncio.Lock()
        """Held while what is here is saved, or thrown away."""
        self._local: LocalFile | None = None
        self._closed = False

    @property
    def etag(self) -> str:
        """A strong validator of this version of the file, for our own clients."""
        digest = hashlib.sha256(repr(self.facts).encode()).hexdigest()[:16]
        return f'"{self.path.parent.name}-{self.path.name}-{digest}"'

    def use(self, facts: Facts, have: bytes, local: LocalFile) -> None:
        """Take over what was stored."""
        self._know(facts, local)
        self.blocks.restore(have)
        self.dirty = False

    async def learn(self, facts: Facts) -> None:
        """Take over what the server says of the file.

        Raises:
            ChangedError: that is not the one of which we have a part.
            OSError: there is no place for it on the disk.
        """
        if self.facts is None:
            self._know(facts, await asyncio.to_thread(LocalFile.open, self.path, size=facts.size))
        if self.facts is not None and not self.facts.fit(facts):
            raise ChangedError("The file was replaced at its server; it starts anew when played")

    async def write(self, data: bytes, at: int) -> range:
        """Write whole blocks, and return which; whether they count is for the caller to say.

        Raises:
            OSError: the disk does not let us.
        """
        if self._local is None:
            raise SourceFailedError("This source is not here any more")
        blocks = range(at // BLOCK, -(-(at + len(data)) // BLOCK))
        if not all(block in self.blocks.pieces for block in blocks):
            await asyncio.to_thread(self._local.write, data, at)
        return blocks

    def add(self, blocks: range) -> None:
        """Note that these have been written."""
        self.blocks.add(blocks)
        self.dirty = True

    def flush(self) -> None:
        """Have on the disk what was written; it blocks.

        Raises:
            OSError: the disk does not let us.
        """
        if self._local is not None:
            self._local.flush()

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True
        if self._local is not None:
            self._local.close()

    def _know(self, facts: Facts, local: LocalFile) -> None:
        """Take over what the file is, unless another answer has said so meanwhile."""
        if self._closed or self.facts is not None:
            local.close()
            return
        file = self.blocks.file
        self.facts, self._local, self.dirty = facts, local, True
        self.blocks = Blocks(index=file.index, name=file.name, size=facts.size)
