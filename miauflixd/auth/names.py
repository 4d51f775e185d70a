"""What people may be called. No I/O."""

import unicodedata

from miauflixd.auth.model import InvalidUserError

_LONGEST_EMAIL = 254
"""Characters, RFC 5321."""

_LONGEST_NAME = 64
_LONGEST_RATING = 16


def checked_email(text: str) -> tuple[str, str]:
    """Return an e-mail address as it is shown, and as it is compared.

    It is a name to sign in with: whether any mail would arrive there is not looked into.

    Raises:
        InvalidUserError: it cannot be used.
    """
    email = unicodedata.normalize("NFC", text.strip())
    local, _, domain = email.rpartition("@")
    if not local or not domain or len(email) > _LONGEST_EMAIL:
        raise InvalidUserError("An e-mail address has a name, an @ and a place")
    if " " in email or not email.isprintable():
        raise InvalidUserError("An e-mail address has no spaces or invisible characters")
    # Taken apart, folded and put together again: the canonical caseless match of Unicode, D145.
    folded = unicodedata.normalize("NFD", email).casefold()
    return email, unicodedata.normalize("NFC", folded)


def email_key(text: str) -> str | None:
    """Return what an e-mail address is compared by, or nothing when it cannot be one."""
    try:
        return checked_email(text)[1]
    except InvalidUserError:
        return None


def checked_name(text: str) -> str:
    """Return a display name as it is shown.

    Raises:
        InvalidUserError: it cannot be used.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidUserError(f"A name has 1 to {_LONGEST_NAME} characters")
    # Not `isprintable`, which refuses what joins letters in Persian and families in emoji.
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        raise InvalidUserError("A name has no control characters")
    return name


def checked_rating(text: str) -> str:
    """Return a certification.

    Raises:
        InvalidUserError: it cannot be used.
    """
    if not 0 < len(text) <= _LONGEST_RATING or not text.isprintable():
        raise InvalidUserError("A rating is a short word, such as PG-13")
    return text
