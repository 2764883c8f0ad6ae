"""The default workflows that ship with the bundle."""
