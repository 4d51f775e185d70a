"""Commands that ask the running daemon, over its own HTTP API."""
