"""Models: what stock ``wav2vec_ctc`` cannot do, and the files it starts from."""
