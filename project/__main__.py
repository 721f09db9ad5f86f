"""``python -m project``."""

import locale
import os
import sys

from project.commands import usage


def speak_utf8() -> None:
    """Start Python again in its UTF-8 mode if the locale has another encoding, as LC_ALL=C has.

    Configs are UTF-8, and libraries read and write files in the locale's encoding. The mode is
    asked for by an environment variable, so that the processes of other devices have it too; one
    that is set already had no effect.
    """
    if (
        locale.getpreferredencoding(False).lower() not in ("utf-8", "utf8")
        and os.environ.get("PYTHONUTF8") != "1"
    ):
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == "__main__":
    speak_utf8()
    if sys.argv[1:] in ([], ["--help"], ["-h"]):
        print(usage())  # at once: it need not wait for the imports below
    else:
        from project.cli.main import main

        main()
