"""Services of the user's systemd."""
