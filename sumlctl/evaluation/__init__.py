"""From a trained model to predictions and metrics."""
