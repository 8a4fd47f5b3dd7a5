"""Sources of data folders: synthetic speech in a hundred languages, and tables of recordings."""
