"""A score network → a larger one that tells the same: a training goes on where a smaller network's ended."""

from __future__ import annotations

from transcribe.score.network import ScoreConfig, ScoreNetwork


def grown(small: ScoreNetwork, config: ScoreConfig) -> ScoreNetwork:
    """Make a network of more channels and more blocks that tells what the small one does.

    What is new is there at random, but nothing that was there looks at it yet.

    Raises
    ------
    ValueError
        If the size asked for is smaller, or its first blocks are others.
    """
    before = small.config
    n_blocks = len(before.dilations)
    if config.channels < before.channels or config.dilations[:n_blocks] != before.dilations:
        raise ValueError(f"{config} doesn't grow from {before}")
    network = ScoreNetwork(config)
    own = dict(small.state_dict())
    grown_state = {}
    for name, tensor in network.state_dict().items():
        new = tensor.clone()
        if name in own:
            old = own[name]
            inside = tuple(slice(0, size) for size in old.shape)
            if old.ndim > 1:
                new[: old.shape[0]] = 0
            new[inside] = old
        elif name.endswith(("mix.weight", "mix.bias")):
            new.zero_()
        grown_state[name] = new
    network.load_state_dict(grown_state)
    return network
