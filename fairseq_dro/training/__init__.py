"""What every training run of this package shares, whatever its task and criterion."""
