"""What a plan becomes: a live Keras model, or Python source."""
