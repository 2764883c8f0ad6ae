"""The outside: one module a system. Imported only by ``shared.bootstrap``, and there lazily."""
