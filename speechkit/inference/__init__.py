"""A trained model on new audio."""
