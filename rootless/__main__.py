"""`python -m rootless`."""

from __future__ import annotations

import sys

from rootless.cli.lean import main

sys.exit(main())
