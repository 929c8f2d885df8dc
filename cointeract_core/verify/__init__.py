"""Run golden files of the published method through our code: ``python -m cointeract_core.verify DIR``."""
