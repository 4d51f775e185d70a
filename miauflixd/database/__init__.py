"""SQLite: one file, one writer thread, versioned migrations."""
