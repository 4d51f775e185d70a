"""The steps by which the database came to be, in order; what has been released is never edited."""
