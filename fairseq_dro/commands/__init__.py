"""``fairseq-dro train``, ``infer`` and ``transcribe``.

They know that their arguments are right before they import torch and fairseq, which takes seconds.
"""
