"""A larger network that begins with what a smaller one has learned."""

from __future__ import annotations

import torch
from torch import Tensor

from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.notes.network import NotesNetwork

# Scale at the end of a block that is new: next to nothing, but not nothing, or it would never learn. Not tuned.
_NEW_BLOCK = 0.05


@torch.no_grad()
def grow(network: NotesNetwork, features: FeatureConfig, config: TrunkConfig) -> NotesNetwork:
    """Copy a network into a larger one: the old channels as they were, the new ones at random and unseen by the old.

    Blocks that are new stand at the ends of the halves before and after the trunk's context, and begin with next to
    no voice. (To begin with what a smaller network does is the idea of Net2Net, Chen et al. 2016, who copy channels.)

    Parameters
    ----------
    network
        What to begin with, on the CPU.
    features
        The front end of both.
    config
        Of the larger one; each half of its dilations begins with the old one's.

    Returns
    -------
    NotesNetwork
        Ready to be trained.

    Raises
    ------
    ValueError
        If a size is less than the old one's, the stride another, or the old blocks aren't where they must be.
    """
    before = network.config
    old_half, new_half = (len(before.dilations) - 1) // 2 + 1, (len(config.dilations) - 1) // 2 + 1
    places = [*range(old_half), *range(new_half, new_half + len(before.dilations) - old_half)]
    if (
        config.stride != before.stride
        or any(getattr(config, size) < getattr(before, size) for size in ("channels", "stem_channels", "mix_channels"))
        or places[-1] >= len(config.dilations)
        or old_half > new_half
        or tuple(config.dilations[place] for place in places) != before.dilations
    ):
        raise ValueError(f"{config} can't begin with what {before} has learned")
    larger = NotesNetwork(features, config)
    new = larger.state_dict()
    for block in set(range(len(config.dilations))) - set(places):
        new[f"trunk.blocks.{block}.mix_norm.weight"].fill_(_NEW_BLOCK)
    for name, old in network.state_dict().items():
        parts = name.split(".")
        if parts[:2] == ["trunk", "blocks"]:
            parts[2] = str(places[int(parts[2])])
        # As networks.PitchContext pools: its normalisation, and the columns of its first convolution.
        _copy(old, new[".".join(parts)], pooled=parts[-2] == "norm" or parts[-3:] == ["time", "0", "weight"])
    return larger


def _copy(old: Tensor, new: Tensor, pooled: bool) -> None:
    """Copy into the first rows and columns; what else the old rows would see weighs nothing.

    What is ``pooled`` over pitch comes twice, as means and as maxima: in two halves, each with its own first channels.
    """
    if not old.ndim:
        new.copy_(old)
        return
    axis = min(1, old.ndim - 1)
    if pooled:
        kept = torch.cat([torch.arange(old.shape[axis] // 2) + start for start in (0, new.shape[axis] // 2)])
    else:
        kept = torch.arange(old.shape[axis])
    if axis:
        new = new[: old.shape[0]]
        new.zero_()
    new.index_copy_(axis, kept, old)
