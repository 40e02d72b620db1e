"""What stands beside the networks of a file: constants, imports, classes from Python."""
