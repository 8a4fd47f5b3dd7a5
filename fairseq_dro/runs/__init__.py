"""What a run folder holds, and who reads and writes it."""
