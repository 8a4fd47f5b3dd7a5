"""Kills and two commands in one folder: what keeps the files of a run whole."""
