"""Where ordered bytes live. Above this room only ``engines.port`` is known; ``engines.locate`` chooses an engine."""
