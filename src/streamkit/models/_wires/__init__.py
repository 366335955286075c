"""The wires of the providers: JSON in, model events out."""
