"""From a solved network to functions of Python, as data that both backends follow."""
