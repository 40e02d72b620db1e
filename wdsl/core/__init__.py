"""What every room stands on: records, expressions of Python, sizes that know where they came from."""
