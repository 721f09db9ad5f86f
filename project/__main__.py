"""``python -m project``."""

import sys

import project

if __name__ == "__main__":
    if sys.argv[1:] in ([], ["--help"], ["-h"]):
        print(project.__doc__)  # at once: it need not wait for the imports below
    else:
        from project.cli import main

        main()
