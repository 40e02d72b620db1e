"""From the syntax tree to a checked network: names, arguments, wiring, shapes, and what is annotated."""
