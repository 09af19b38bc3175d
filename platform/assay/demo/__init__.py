"""A demonstration tenant whose made-up leads behave like real ones."""
