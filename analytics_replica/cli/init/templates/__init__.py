"""Texts that `init` writes, nearly the same for every database. A package, so that they ship."""
