"""`python -m latchstring` is the command line, too."""

from latchstring.cli import main

main()
