"""The operators' API: the same flows as the command line, over HTTP, behind a gate of its own."""
