"""Who tells what there is to watch, each behind the same Protocol."""
