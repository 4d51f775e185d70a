"""WireGuard files that somebody brings: looked at before anything is stored.

A file may be a `.conf`, or a zip of many as some providers hand them out. Nothing is unpacked to
the disk and nothing in a file is run, so a name in an archive is only ever shown.
"""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath

from miauflixd.tunnel.conf_lines import SIZE_LIMIT, ConfRefusedError, shown_name
from miauflixd.tunnel.model import EndpointSpec
from miauflixd.tunnel.provider_hints import UNKNOWN
from miauflixd.tunnel.wireguard_conf import Ignored, parse

COUNT_LIMIT = 2000
"""Files that are looked at in one go; the largest provider has a thousand servers."""

ZIP_LIMIT = 8 * 1024 * 1024
"""Bytes of an archive."""

_UNPACKED_LIMIT = 32 * 1024 * 1024
"""Bytes of all that is read out of one archive."""

_RATIO_LIMIT = 100
"""How many times larger a file may become; text of this kind becomes at most ten times so."""

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_ENTRY = b"PK\x01\x02"
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Of packing; the others may ask for gigabytes of memory."""
_ENCRYPTED = 0x1


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file as it was sent, or found in a folder or an archive."""

    name: str
    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What would come of a file, for people; either it is refused, or there is something in it."""

    file: str
    """Its name, fit to be shown."""
    name: str
    """What its server would be called."""
    provider: str | None = None
    """A guess."""
    country: str | None = None
    """A guess: two letters."""
    port_forwarding: bool = False
    endpoint: str | None = None
    """`host:port`."""
    used: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    refused: str | None = None
    """Why it cannot be used, a sentence."""
    line: int | None = None
    """Where it is refused, if that is at one place."""
    duplicate_of: str | None = None
    """The file that leads to the same server with the same key, and comes before this one."""
    spec: EndpointSpec | None = None
    """What to store."""


def preview(files: Iterable[File], *, lan_ok: bool = False) -> tuple[Preview, ...]:
    """Say what would come of these files: a `.conf`, several, or archives of them.

    Several are a pool, in the order of their names; at most `COUNT_LIMIT` are looked at. Nothing is
    raised: what cannot be used says so.
    """
    previews: list[Preview] = []
    for file in files:
        if file.content.startswith(_ZIP_MAGIC):
            previews += _archive(file, lan_ok=lan_ok)
        else:
            previews.append(_preview(file, lan_ok=lan_ok))
        if len(previews) > COUNT_LIMIT:
            previews[COUNT_LIMIT:] = [
                _refused(file, f"These are more than {COUNT_LIMIT} files; the rest is left out")
            ]
            break
    return tuple(_with_duplicates(previews))


def specs(previews: Iterable[Preview]) -> list[EndpointSpec]:
    """Return what there is to store: each server once."""
    return [one.spec for one in previews if one.spec is not None and one.duplicate_of is None]


def read_folder(folder: Path) -> list[File]:
    """Return the `.conf` files and archives of a folder, in the order of their names.

    Raises:
        OSError: the folder, or a file in it, cannot be read.
    """
    found = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in {".conf", ".zip"}),
        key=lambda path: path.name,
    )
    files = []
    for path in found[: COUNT_LIMIT + 1]:
        if not path.is_file():  # a pipe would keep us waiting
            continue
        with path.open("rb") as opened:
            # One byte more than is accepted, so that it is seen to be too large.
            files.append(File(name=path.name, content=opened.read(ZIP_LIMIT + 1)))
    return files


def _preview(file: File, *, lan_ok: bool) -> Preview:
    try:
        parsed = parse(file.content, name=file.name, lan_ok=lan_ok)
    except ConfRefusedError as error:
        return _refused(file, error.reason, error.line)
    spec = parsed.spec
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    return Preview(
        file=shown_name(file.name),
        name=spec.name,
        provider=None if spec.provider == UNKNOWN else spec.provider,
        country=spec.country,
        port_forwarding=spec.port_forwarding,
        endpoint=f"{host}:{spec.port}",
        used=parsed.used,
        ignored=parsed.ignored,
        spec=spec,
    )


def _refused(file: File, reason: str, line: int | None = None) -> Preview:
    name = shown_name(file.name)
    return Preview(file=name, name=name.removesuffix(".conf"), refused=reason, line=line)


# --- archives -------------------------------------------------------------------------------------


def _archive(file: File, *, lan_ok: bool) -> list[Preview]:
    if len(file.content) > ZIP_LIMIT:
        return [_refused(file, f"The archive is larger than {ZIP_LIMIT // 1024**2} MiB")]
    # Before it is opened, which makes an object of each entry; the marks in its files' content may
    # count too, but there are none in text.
    if file.content.count(_ZIP_ENTRY) > COUNT_LIMIT:
        return [_refused(file, f"The archive has more than {COUNT_LIMIT} files")]
    try:
        with zipfile.ZipFile(BytesIO(file.content)) as archive:
            entries = [entry for entry in archive.infolist() if _is_wanted(entry)]
            entries.sort(key=lambda entry: entry.filename)
            previews = list(_entries(archive, entries, lan_ok=lan_ok))
    except _BROKEN:
        return [_refused(file, "The archive is damaged, or is no zip file")]
    return previews or [_refused(file, "There is no `.conf` file in the archive")]


_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a version of zip that Python does not know
    OSError,  # a place in the file before its beginning
    RuntimeError,
    ValueError,  # names that are no text, and the like
)
"""What `zipfile` raises over archives that are not what they should be."""


def _is_wanted(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    # macOS leaves a shadow of each file: `__MACOSX/._se-1.conf`.
    return path.suffix.lower() == ".conf" and not path.name.startswith(".")


def _entries(
    archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], *, lan_ok: bool
) -> Iterator[Preview]:
    left = _UNPACKED_LIMIT
    for entry in entries:
        if reason := _why_not(entry, left):
            yield _refused(File(name=entry.filename, content=b""), reason)
            continue
        try:
            with archive.open(entry) as opened:
                # What the archive says of the size is not believed.
                content = opened.read(SIZE_LIMIT + 1)
        except _BROKEN:
            yield _refused(File(name=entry.filename, content=b""), "It is damaged in the archive")
            continue
        left -= len(content)
        yield _preview(File(name=entry.filename, content=content), lan_ok=lan_ok)


def _why_not(entry: zipfile.ZipInfo, left: int) -> str | None:
    if entry.flag_bits & _ENCRYPTED:
        return "It is locked by a password; unpack it, and send what is in it"
    if entry.compress_type not in _METHODS:
        return "It is packed in an unusual way; unpack it, and send what is in it"
    if entry.file_size > SIZE_LIMIT:
        return f"The file is larger than {SIZE_LIMIT // 1024} KiB, which no tunnel needs"
    if entry.file_size > _RATIO_LIMIT * max(entry.compress_size, 1):
        return f"It is packed more than {_RATIO_LIMIT} times smaller, which no text is"
    if left < SIZE_LIMIT:
        return f"The archive holds more than {_UNPACKED_LIMIT // 1024**2} MiB"
    return None


# --- pools ----------------------------------------------------------------------------------------


def _with_duplicates(previews: Iterable[Preview]) -> Iterator[Preview]:
    """Mark what leads to the same server as an earlier file.

    The host counts too, for some providers have one key for all servers of a city.
    """
    seen: dict[tuple[str, str, str], str] = {}
    for one in previews:
        if one.spec is None:
            yield one
            continue
        key = (one.spec.public_key, one.spec.private_key.reveal(), one.spec.host)
        first = seen.setdefault(key, one.file)
        if first is one.file:
            yield one
        else:
            yield replace(one, duplicate_of=first)
