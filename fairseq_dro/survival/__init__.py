"""Kills, full disks, damaged files, two commands in one folder: what keeps a run whole."""
