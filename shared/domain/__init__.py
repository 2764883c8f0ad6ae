"""The rules: values in, values out. Nothing here reads a clock, the environment, a network or a database."""
