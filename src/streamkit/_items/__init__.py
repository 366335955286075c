"""What flows, and how it is written down."""
