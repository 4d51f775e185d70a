"""Those who say where a title can be had."""
