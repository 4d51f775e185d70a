"""Building blocks for processes and tasks, without a word of the domain."""
