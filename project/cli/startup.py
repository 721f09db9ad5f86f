"""Settings from before a command begins: which messages are shown, what PyTorch asks drivers."""

import logging
import os
import warnings

from lightning.pytorch.utilities import rank_zero_only


def quieten() -> None:
    """Show our own messages on the first process, and hide what Lightning repeats at each start."""
    log = logging.getLogger("project")
    log.setLevel(logging.INFO if rank_zero_only.rank == 0 else logging.WARNING)
    log.handlers = [logging.StreamHandler()]
    log.propagate = False
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    # Lightning 2.6 calls what jsonargparse 4.49 and PyTorch 2.15 have deprecated.
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
    # A config with such a value is refused before it is written.
    warnings.filterwarnings("ignore", "\\s*Unable to serialize instance")
    # Evaluation has no use for the state of the callbacks that chose the checkpoint.
    warnings.filterwarnings(
        "ignore", "Be aware that when using `ckpt_path`, callbacks used to create"
    )
    # A run that goes on writes to the folder that it wrote to before.
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
    # A cluster's login node is a fine place to try something.
    warnings.filterwarnings(
        "ignore", "The `srun` command is available on your system but is not used"
    )
    # Ours returns every image.
    warnings.filterwarnings(
        "ignore", "You are using a custom batch sampler `EvalBatches` for prediction"
    )
    # BackboneFinetuning trains norms from the start, and is surprised to find them among the
    # parameters.
    warnings.filterwarnings("ignore", "The provided params to be frozen already exist")
    # That is what --model.freeze_backbone is for.
    warnings.filterwarnings(
        "ignore", "Found \\d+ module\\(s\\) in eval mode at the start of training"
    )
    # The summary of a model in mixed precision counts its weights as 32 bits, which they are.
    warnings.filterwarnings("ignore", "Precision .*-mixed is not supported by the model summary")
    # A box in the picture of a file with a name in another script says as much.
    warnings.filterwarnings("ignore", "Glyph \\d+ .* missing from font")
    # The schedule goes by steps until averaging begins, as it should.
    warnings.filterwarnings("ignore", "SWA is currently only supported every epoch")
    # fit says it with the flag to give.
    warnings.filterwarnings("ignore", "`max_epochs` was not set")
    # An epoch's last steps are logged at its end, however few they are.
    warnings.filterwarnings(
        "ignore", "The number of training batches .* is smaller than the logging interval"
    )
