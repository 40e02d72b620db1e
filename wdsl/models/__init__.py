"""What one does with a model that has structure: verify it, freeze it, give it weights."""
