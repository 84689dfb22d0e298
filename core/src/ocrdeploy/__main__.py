"""`python -m ocrdeploy` is the command `ocrd`."""

from ocrdeploy.cli import main

main()
