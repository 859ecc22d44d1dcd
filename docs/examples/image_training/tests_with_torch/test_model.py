"""The network: torchvision's names and shapes, weights that fit and others, and what decoding makes of a file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from image_training import drawing, images, model, training

NAMES = Path(__file__).with_name("resnet18.txt")


def test_names_and_shapes_are_those_of_torchvision() -> None:
    wanted = [line.split() for line in NAMES.read_text("utf-8").splitlines()]
    network = model.ResNet18()
    found = [[name, *map(str, value.shape)] for name, value in network.state_dict().items()]
    assert found == wanted
    assert sum(value.numel() for value in network.parameters()) == 11_689_512


def test_an_image_becomes_a_score_for_each_class() -> None:
    network = model.ResNet18(3).eval()
    with torch.inference_mode():
        scores = network(torch.zeros(2, 3, 32, 32))
        assert scores.shape == (2, 3)
        assert torch.equal(scores[0], scores[1])
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 3), "of any size, as torchvision's"


def test_weights_of_other_classes_fit_but_for_the_last_layer() -> None:
    large, small = model.ResNet18(1000), model.ResNet18(3)
    assert model.take_weights(small, large.state_dict()) == ["fc.weight", "fc.bias"]
    assert torch.equal(small.layer4[1].conv2.weight, large.layer4[1].conv2.weight)
    assert model.take_weights(small, model.ResNet18(3).state_dict()) == []


def test_weights_of_something_else_are_refused() -> None:
    weights = model.ResNet18(3).state_dict()
    del weights["layer2.0.downsample.0.weight"]
    with pytest.raises(ValueError, match=r"no weights of a ResNet-18: layer2\.0\.downsample\.0\.weight is missing"):
        model.take_weights(model.ResNet18(3), weights)


def test_a_file_has_what_is_known_about_a_model_and_torchvisions_has_nothing(tmp_path: Path) -> None:
    network = model.ResNet18(2)
    model.save(network, str(tmp_path / "own.pt"), classes=["a", "ü"], accuracy=0.5)
    weights, about = model.load(str(tmp_path / "own.pt"))
    assert about == {"classes": ["a", "ü"], "accuracy": 0.5}
    torch.save(network.state_dict(), tmp_path / "torchvision.pth")
    others, nothing = model.load(str(tmp_path / "torchvision.pth"))
    assert nothing == {}
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_what_was_drawn_is_what_is_decoded() -> None:
    for _, content in drawing.images(2):
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))
            pixels = torch.tensor(list(image.tobytes())).view(32, 32, 3)
        values = images.decode(content) * torch.tensor(images.DEVIATION).view(3, 1, 1)
        values = (values + torch.tensor(images.MEAN).view(3, 1, 1)).permute(1, 2, 0) * 255
        assert torch.equal(values.round().int(), pixels.int())


def test_images_of_any_size_and_kind_are_decoded_and_nothing_else() -> None:
    file = io.BytesIO()
    Image.new("L", (100, 60), 128).save(file, "JPEG")
    assert images.decode(file.getvalue()).shape == (3, 32, 32)
    for content in (b"", b"no image", file.getvalue()[:100]):
        with pytest.raises(ValueError, match=f"these {len(content)} bytes are no image"):
            images.decode(content)


def test_a_dataset_keeps_some_of_each_class_back() -> None:
    files = dict(drawing.images(10))
    data = images.dataset(files)
    assert data["classes"] == ["circle", "square", "triangle"]
    assert data["training"]["images"].shape == (24, 3, 32, 32)
    assert data["validation"]["labels"].tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(data["validation"]["images"][2], images.decode(files["square/0004.png"]))


@pytest.mark.parametrize("count", [0, 4])
def test_too_few_images_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="classes are too few: bring 5 of each of 2"):
        images.dataset(dict(drawing.images(count)))


def test_the_same_data_and_seed_give_the_same_model() -> None:
    data = images.dataset(dict(drawing.images(10)))
    (first, _), (second, _) = (training.fine_tune(data, epochs=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    third, _ = training.fine_tune(data, first.state_dict(), epochs=1)
    assert not torch.equal(first.fc.weight, third.fc.weight)
