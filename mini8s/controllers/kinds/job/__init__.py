"""Job: pods that run until enough of them have ended well (`pkg/controller/job`, KEP-2214, 2307, 3329, 3850,
3939, 3998).

`view` reads the object, `tally` counts its pods, `verdict` says whether it is over, `crew` which pods it
wants, `report` writes it down; `plan` puts them in order and `controller` finds the facts.
"""
