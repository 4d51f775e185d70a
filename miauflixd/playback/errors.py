"""What can go wrong with playing."""

from miauflixd.errors import InvalidInputError, UnavailableError


class UnplayableFileError(InvalidInputError):
    """The file is none that anything can be made of, however often one tries."""

    code = "unplayable"


class WorkerDiedError(UnavailableError):
    """The process that takes the file apart has ended; the next attempt starts another."""

    code = "worker_died"
