"""What a trial needs before there is data: synthetic speech, checkpoints of random weights."""
