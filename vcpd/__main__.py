"""`python -m vcpd` is the same as the `vcpd` command."""

from vcpd.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
