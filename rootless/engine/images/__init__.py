"""Images as the engine offers them."""
