"""The parts of a purchase: its reference, its plan, its sending, what became of it, its goods."""
