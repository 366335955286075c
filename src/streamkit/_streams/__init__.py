"""Named streams, while this process writes them."""
