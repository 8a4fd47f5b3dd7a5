"""What a letter, a word, a tag and a lower-case form are, for preparing and for scoring.

Pure functions of a text and its language; the one file access is reading ``orthographies.tsv``.
``docs/data.md`` states the rules. Texts that these rules have made carry `RULES_VERSION`.
"""

RULES_VERSION = 2
"""Goes up whenever a rule or the table makes another text of any input. 1 was before there was a
table: apostrophes inside words only, format characters vanished, lower case without languages."""
