"""`python -m staffroom.cli` is the command, too."""

from staffroom.cli import main

main()
