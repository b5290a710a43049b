"""``python -m pyspedas_similarity`` is the same as ``pyspedas-similarity``."""

import sys

from .cli import main

sys.exit(main())
