"""The sections of a run's report, one a file, in the order in which they are read."""
