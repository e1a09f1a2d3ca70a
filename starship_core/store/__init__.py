"""What the flows need from SQL, as verbs on an open transaction; one module a verb."""
