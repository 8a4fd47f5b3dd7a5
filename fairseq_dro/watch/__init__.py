"""``fairseq-dro watch``: a run as it goes, from its own files."""
