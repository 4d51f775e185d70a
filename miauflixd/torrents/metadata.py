"""What the engine says of a torrent's contents, in the words of sources. No I/O."""

from miauflixd.engine.messages import Metadata
from miauflixd.torrents.model import Fetched, Layout, SourceFile


def hashes_of(metadata: Metadata) -> list[bytes]:
    """Return the info-hashes, of which there are one or two."""
    hashes = (metadata.info_hash_v1, metadata.info_hash_v2)
    return [value for value in hashes if value is not None]


def layout_of(metadata: Metadata) -> Layout:
    """Return how the files lie over pieces."""
    return Layout(
        name=metadata.name,
        piece_length=metadata.piece_length,
        total_size=metadata.total_size,
        files=tuple(
            SourceFile(index=file.index, name=file.path, size=file.size, offset=file.offset)
            for file in metadata.files
        ),
    )


def fetched(metadata: Metadata) -> Fetched:
    """Return the same for whoever has no source of it."""
    layout = layout_of(metadata)
    return Fetched(
        metainfo=metadata.metainfo,
        info_hashes=tuple(hashes_of(metadata)),
        name=layout.name,
        files=layout.files,
        total_size=layout.total_size,
    )
