"""From pairs to a trained model."""
