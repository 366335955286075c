"""Sources, one file each. Nothing is re-exported here."""
