"""Import everything in each copy of the project that is given, and train a run in it.

Run by `test_deletable` in a process of its own. Each copy gets a fork, so that the libraries are
imported once.
"""

import importlib
import os
import pkgutil
import sys
import traceback
from pathlib import Path

# W&B imports its launch in each run, which takes longer the more was imported before it.
LIBRARIES = (
    "wandb.sdk.launch",
    "lightning.pytorch.cli",
    "sklearn.datasets",
    "torchmetrics",
    "torchvision",
)
FIT = ["fit", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
FIT += ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]


def try_copy(copy: str) -> None:
    """Import all modules of a copy and train the default config in it."""
    os.chdir(copy)
    sys.path.insert(0, copy)
    import project

    assert Path(project.__file__).is_relative_to(copy)
    for module in pkgutil.walk_packages(project.__path__, "project."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    from project.cli.main import main

    main(FIT)


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    failed = False
    for copy in sys.argv[1:]:
        if child := os.fork():
            failed |= bool(os.waitpid(child, 0)[1])
            continue
        try:
            try_copy(copy)
            os._exit(0)
        except BaseException:
            print(f"in {copy}:", traceback.format_exc(), file=sys.stderr, flush=True)
            os._exit(1)
    sys.exit(failed)
