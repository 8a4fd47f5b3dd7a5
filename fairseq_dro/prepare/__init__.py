"""From a corpus as downloaded to a data folder; ``readers/`` has one file a corpus."""
