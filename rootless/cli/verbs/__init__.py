"""One module per verb.  Each has `VERB`, its description, and `run(call)`, which does it."""
