"""miauflixd: a home streaming appliance in one systemd unit."""

__version__ = "0.1.0"
