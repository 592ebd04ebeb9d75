"""The autoencoders of the report and their training."""
