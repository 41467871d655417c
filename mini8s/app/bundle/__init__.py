"""What helps somebody else to find out what is wrong here, without what is nobody else's business.

`redact.py` and `objects.py` are pure and decide what is left out, `sources.py` says what is looked at.
"""
