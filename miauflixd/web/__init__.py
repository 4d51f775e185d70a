"""HTTP in: the application, its handlers, and what errors look like from outside."""
