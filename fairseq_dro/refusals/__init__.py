"""What fairseq would stumble over later, or pass over in silence, is refused in one sentence."""
