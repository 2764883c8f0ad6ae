"""Sandbox GitHub and Codegen servers: they stand in for the real ones where no tokens are configured.

They speak the paths, bodies and status codes of api.github.com and api.codegen.com, keep what they are told,
misbehave on request and show what they received. ``python -m shared.local.sandbox --help`` starts them.
"""
