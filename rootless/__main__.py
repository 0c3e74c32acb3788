"""`python -m rootless`."""

from __future__ import annotations

import sys

from rootless.cli.main import main

sys.exit(main())
