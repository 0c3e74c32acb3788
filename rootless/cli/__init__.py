"""The command line: words in, text out.  It decides nothing; the engine does."""
