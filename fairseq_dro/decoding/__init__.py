"""Decoding a split with a fine-tuned model: what ``fairseq-dro-infer`` is made of."""
