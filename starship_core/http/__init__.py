"""HTTP, as all that speaks it here has it: exchanges, errors, pages, amounts, descriptions."""
