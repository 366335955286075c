"""One file for each web framework: a client and an empty answer, nothing else."""
