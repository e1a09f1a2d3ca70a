"""One file per thing that can happen to an order."""
