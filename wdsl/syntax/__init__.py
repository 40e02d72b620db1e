"""The syntax of wnet: frozen nodes, the parser that makes them, the printer that writes them."""
