"""What is learned from: clips and pairs, their labels, and batches read from their videos."""
