"""Where a title can be had."""
