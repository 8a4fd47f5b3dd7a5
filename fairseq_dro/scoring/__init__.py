"""Scores of recognised text: pure functions of strings and numbers, no files and no fairseq."""
