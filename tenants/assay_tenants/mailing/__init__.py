"""Mail to people: kept in a table with the change that causes it, sent by a worker."""
