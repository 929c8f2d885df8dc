"""Everything behind the nodes, in rooms; `docs/architecture.md` is the plan of the house.

The files here are the ground floor: every room imports them.
"""
