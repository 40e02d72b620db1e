"""The structure of weights: one system of equations for a whole network, solved."""
