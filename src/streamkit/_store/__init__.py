"""What every store keeps to, and what its answers mean."""
