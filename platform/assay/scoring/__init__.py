"""Models, the engine, explanations: what a lead is worth and why."""
