"""Who is asking: users, sessions, keys, and what was done by whom."""
