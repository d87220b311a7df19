"""The verbs: a function in a module of its own each. ``cli.main`` names them."""
