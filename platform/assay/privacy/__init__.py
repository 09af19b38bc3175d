"""A person's data: found, handed out, and erased from every table, with proof."""
