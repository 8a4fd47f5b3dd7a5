"""A run as it goes, seen from its own files."""
