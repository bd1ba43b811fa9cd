"""A carrier for one machine: speaks the providers' own HTTP, so that the real provider classes run.

A process of its own that shares no code with the rest, as a carrier does not. `docs/sandbox.md`
tells how it is driven.
"""
