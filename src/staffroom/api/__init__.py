"""What other programs call: the guide's VectorAPI."""
