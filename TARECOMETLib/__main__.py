"""``python -m TARECOMETLib``: the same as the command ``tarecomet``."""

from .cli.main import main

main()
