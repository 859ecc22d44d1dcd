"""ResNet-18 (He et al., 2015), with the layers and names of torchvision's, so that its weights fit.

An image of 32 x 32 passes as 64 x 8 x 8, 128 x 4 x 4, 256 x 2 x 2 and 512 x 1 x 1 through the four layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions, and a way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Return what the block makes of images."""
        around = images if self.downsample is None else self.downsample(images)
        through = functional.relu(self.bn1(self.conv1(images)))
        return functional.relu(self.bn2(self.conv2(through)) + around)


class ResNet18(nn.Module):
    """From images (N x 3 x rows x columns) to a score for each class (N x classes)."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.fc = nn.Linear(512, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of images."""
        features = functional.max_pool2d(functional.relu(self.bn1(self.conv1(images))), 3, 2, padding=1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = layer(features)
        scores: Tensor = self.fc(features.mean(dim=(2, 3)))
        return scores


def take_weights(model: ResNet18, weights: dict[str, Any]) -> list[str]:
    """Give a model all weights that fit, and return the names of those that it has to learn anew.

    ``fc`` is left out where the weights know another number of classes, such as those of ImageNet.

    :raises ValueError: if they are the weights of something else.
    """
    own = model.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    left = [name for name in own if name not in fitting]
    if any(not name.startswith("fc.") for name in left):
        raise ValueError(f"these are no weights of a ResNet-18: {left[0]} is missing or has another shape")
    model.load_state_dict(fitting, strict=False)
    return left


def save(model: ResNet18, file: str, **about: Any) -> None:
    """Write a model with what is to be known about it, such as its ``classes``; plain data and tensors only."""
    torch.save({"state_dict": model.state_dict(), **about}, file)


def load(file: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the weights in a file, and what is known about them: nothing in a file of torchvision's."""
    found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    if "state_dict" not in found:
        return found, {}
    return found.pop("state_dict"), found
