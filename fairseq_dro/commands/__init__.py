"""The sub-commands of ``fairseq-dro``, a file each: their options, and what they print.

Those that train or decode know that their arguments are right before they import torch and
fairseq, which takes seconds.
"""
