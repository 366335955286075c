"""One server process: `python -m benchmarks.process.server VARIANT DIRECTORY`, ended by its parent.

It works in the directory of the files, so that a route needs no more than a file's name.
"""

from __future__ import annotations

__all__ = ()

import os
import sys

from benchmarks.one_connection.server import serve
from benchmarks.process.variants import VARIANTS

if __name__ == "__main__":
    os.chdir(sys.argv[2])
    serve(VARIANTS[sys.argv[1]], "benchmarks.process")
