"""`python -m sumlctl` is the `sumlctl` command."""

from sumlctl.cli.app import main

if __name__ == "__main__":
    main()
