"""Teach a model, and judge it."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from image_training.model import ResNet18, take_weights


def fine_tune(
    dataset: dict[str, Any],
    weights: dict[str, Any] | None = None,
    *,
    epochs: int,
    batch: int = 32,
    learning_rate: float = 1e-3,
    threads: int = 1,
    seed: int = 0,
) -> tuple[ResNet18, float]:
    """Return a model that has seen every training image ``epochs`` times, and its accuracy on those kept back.

    The same data, weights, seed and machine give the same model.

    Args:
        dataset: as :func:`image_training.images.dataset` makes it.
        weights: where to begin; None begins with random ones.
        epochs: how often to go through the images.
        batch: how many images to learn from at once.
        learning_rate: of Adam, which falls to 0 until the end.
        threads: how many cores to use; several are much slower than one where others want them too.
        seed: of the random weights, and of the order of the images.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    model = ResNet18(len(dataset["classes"]))
    if weights is not None:
        take_weights(model, weights)
    images, labels = dataset["training"]["images"], dataset["training"]["labels"]
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    # The last images of an epoch that fill no batch wait for the next: one alone has no deviation to normalise by.
    batches = max(1, len(images) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for chosen in torch.randperm(len(images)).split(batch)[:batches]:
            loss = functional.cross_entropy(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        found = accuracy(model, dataset["validation"])
        print(f"epoch {epoch + 1} of {epochs}: loss {total / batches:.3f}, accuracy {found:.3f}", flush=True)
    return model, accuracy(model, dataset["validation"])


@torch.inference_mode()
def accuracy(model: ResNet18, part: dict[str, Any]) -> float:
    """Return the share of images whose class the model finds."""
    model.eval()
    return float((model(part["images"]).argmax(1) == part["labels"]).float().mean())
