"""Maps of what matters, laid over images."""

import torch.nn.functional as F
from torch import Tensor


def overlaid(images: Tensor, maps: Tensor, min_side: int = 224) -> Tensor:
    """Images in which each map is seen as heat: the image where it is zero, red where it is most.

    Args:
        images: Images (N, C, H, W) in [0, 1], grey or in colour.
        maps: Maps (N, 1, h, w), not negative, each of which is drawn relative to its maximum.
        min_side: Smaller images are enlarged, by whole pixels, to about this side at least.

    Returns:
        Images (N, 3, H', W') in [0, 1].
    """
    from matplotlib import colormaps

    factor = max(round(min_side / min(images.shape[2:])), 1)
    images = images.expand(-1, 3, -1, -1).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    heat = F.interpolate(maps.float(), images.shape[2:], mode="bilinear", align_corners=False)
    heat = (heat / heat.amax((2, 3), keepdim=True).clamp(min=1e-12)).cpu()
    colors = heat.new_tensor(colormaps["turbo"](heat[:, 0].numpy())[..., :3]).permute(0, 3, 1, 2)
    strength = 0.6 * heat
    return (images * (1 - strength) + colors * strength).clamp(0, 1)
