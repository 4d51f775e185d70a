"""Magnet links and bare info-hashes, read strictly (BEP 9, BEP 52)."""
