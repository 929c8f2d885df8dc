"""The proof: the paper's claims tested at small scale, every cell fine-tuned from one base by the pack's own trainer.

`claims` holds what was decided before the runs, `cells` what each run does; `python -m toy.benchmark` runs them.
"""
