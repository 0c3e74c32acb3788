"""What the compiled module looks like to a type checker."""

from typing import Any

ffi: Any
lib: Any
