import pytest
import torch
from torch import nn

from train.muon import MuonAndAdamW


def test_a_kernel_moves_as_far_in_every_direction() -> None:
    layer = nn.Conv2d(3, 16, (3, 1))
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = layer.weight.detach().clone()
    optimizer = MuonAndAdamW(nn.Sequential(layer), 1e-3, weight_decay=0.0)
    torch.manual_seed(0)
    # One direction thirty times as steep as the others.
    gradient = torch.randn(16, 9) + 30 * torch.outer(torch.randn(16), torch.randn(9))
    layer.weight.grad = gradient.view(layer.weight.shape)
    optimizer.step()
    moved = torch.linalg.svdvals((before - layer.weight.detach()).flatten(1))
    # Ten times AdamW's learning rate, times the root of rows to columns; the iteration is a rough one.
    assert moved.min() > 0.5 * 1e-2 * (16 / 9) ** 0.5
    assert moved.max() < 1.5 * 1e-2 * (16 / 9) ** 0.5


def test_the_rest_is_left_to_adamw() -> None:
    network = nn.Sequential(nn.Conv2d(12, 16, 1), nn.BatchNorm2d(16), nn.Conv2d(16, 2, 1))
    optimizer = MuonAndAdamW(network, 1e-3, weight_decay=0.0)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    optimizer.step()
    # The first step of AdamW is the learning rate, whatever the gradient.
    for parameter, old in list(zip(network.parameters(), before, strict=True))[1:]:
        torch.testing.assert_close(old - parameter.detach(), torch.full_like(old, 1e-3), rtol=1e-3, atol=1e-6)
    assert [group.get("ratio", 1.0) for group in optimizer.param_groups] == [10.0, 1.0]


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_the_steps_are_those_of_torchs_own() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(12, 24, (3, 3)), nn.Conv2d(24, 24, 1), nn.Conv2d(24, 24, 1), nn.Conv2d(24, 10, 1)]
    network = nn.Sequential(*layers)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    matrices = [kernel.weight.detach().flatten(1).clone() for kernel in layers]
    ours = MuonAndAdamW(network, 1e-3, weight_decay=0.1)
    theirs = torch.optim.Muon(matrices, 1e-2, weight_decay=0.1)
    for _ in range(4):
        for kernel, matrix in zip(layers, matrices, strict=True):
            kernel.weight.grad = torch.randn_like(kernel.weight)
            matrix.grad = kernel.weight.grad.flatten(1).clone()
        ours.step()
        theirs.step()  # type: ignore[no-untyped-call]
    for kernel, matrix in zip(layers, matrices, strict=True):
        torch.testing.assert_close(kernel.weight.detach().flatten(1), matrix, rtol=0, atol=1e-6)


def test_weights_without_gradients_stay() -> None:
    network = nn.Conv2d(12, 16, 1)
    before = network.weight.detach().clone()
    MuonAndAdamW(network, 1e-3, weight_decay=0.1).step()
    assert torch.equal(network.weight.detach(), before)
