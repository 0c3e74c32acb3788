"""What every part of the engine may use: configuration, words for people, arguments."""
