"""VPN providers whose servers are found by their API: one class each, all of one shape."""
