"""The batch planner: which utterances form a batch, and in which order batches come."""
