"""A PyTorch Lightning research template for image classification.

python -m project COMMAND [--config FILE ...] [--KEY VALUE ...]

  fit        train; with no config, on handwritten digits that need no download
  fit        --run RUN          go on from the last checkpoint
  fit        --find lr|batch_size   find one, and train nothing
  test       --run RUN          evaluate on the test set
  validate   --run RUN          evaluate on the validation set
  predict    --run RUN --images FILE_OR_FOLDER ...
  check      [--config FILE]   what is wrong with data and model, in seconds
  prepare    [--config FILE]   a cache of ImageNet's images in the size of --data.cache
  export     --run RUN          the network as one file, ONNX or torch.export
  compare    RUN ...            what differs, means over seeds, a test of the difference, histories;
                                --latex FILE and --markdown FILE write a table for a paper
  report     RUN ...            one HTML file with all there is to see
  results    RUN ...            configs/results/*.json, and the README's table of them
  sweep      FILE --trials N    with Optuna, in as many processes as wanted
  describe   --model NAME       layers, output shapes, parameters and MACs; needs no data

RUN is a folder runs/<experiment>/<id>, or runs/<experiment> for its newest run.
--config FILE may be repeated; later files and flags win: --optimizer.lr 0.1 --model.dropout 0.5
In Python: from project import load; load("runs/digits").predict(["a.png"])
python -m project COMMAND --help lists every key of a command; --print_config prints the merged
config.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from project.loaded import LoadedRun


def load(run: str | os.PathLike[str], checkpoint: str | os.PathLike[str] = "best") -> "LoadedRun":
    """Load a run to predict with: ``load("runs/digits").predict(["a.png"])``.

    Args:
        run: Folder of a run, or of an experiment for its newest run.
        checkpoint: ``best``, ``last`` or a file.

    Raises:
        project.errors.UserError: There is no run, or its checkpoint cannot be used.
    """
    from project.loaded import LoadedRun

    return LoadedRun(run, checkpoint)
