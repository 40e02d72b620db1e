"""What is annotated: from syntax to equations and ties of weights."""
