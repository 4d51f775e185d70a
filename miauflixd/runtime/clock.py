"""The time of day, for those who are given it and do not look."""

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]
"""The time of day, in UTC."""
