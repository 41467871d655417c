"""Figures of mini8s on test hosts. Each module measures one thing and yields figures; `scripts/bench`
prints them.

Single figures move by a third on a shared machine; ratios are taken within one run.
"""
