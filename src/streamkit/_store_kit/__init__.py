"""What `testing.check_store` is made of: rules, and random calls against a model."""
