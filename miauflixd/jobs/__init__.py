"""The timetable: the work that goes on by itself."""
