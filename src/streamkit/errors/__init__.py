"""Every error that more than one part raises."""
