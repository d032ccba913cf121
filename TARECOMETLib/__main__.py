"""``python -m TARECOMETLib``: the same as the command ``tarecomet``."""

if __name__ == "__main__":
    from .cli.main import main

    main()
