"""The state of the process that code in a library must leave as it was."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.fabric.utilities.seed import _collect_rng_states, _set_rng_states


@contextmanager
def unchanged() -> Iterator[None]:
    """Restore random generators, environment variables, logging and warnings at the end."""
    environment, disabled = dict(os.environ), logging.root.manager.disable
    cuda = torch.cuda.is_initialized()
    states = _collect_rng_states(include_cuda=cuda)
    logging.disable(logging.INFO)  # Lightning logs the seed that it sets
    os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"  # Lightning 2.6 needs it
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.disable(disabled)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        _set_rng_states(states)
        if not cuda:  # PyTorch keeps the seed for when it first uses a GPU
            torch.cuda.manual_seed_all(torch.initial_seed())
