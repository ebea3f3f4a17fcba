"""The default job of examples/train.py as a user of PyTorch would write it: train, test after each epoch, draw.

``python -m benchmarks.torch_job --out DIR``; `benchmarks.whole_job` runs it beside fastae's.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import fastae
from fastae import figures
from fastae.bench.contenders.job import epoch_order
from fastae.bench.contenders.torch_peers import TorchEager


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    images, test_images = (fastae.load_dataset(split=split)[0] for split in ("train", "test"))
    contender = TorchEager(images, 16, "mse")
    for group in contender.optimizer.param_groups:
        group["lr"] = 0.25
    x = torch.from_numpy(test_images / np.float32(255))
    epochs = []
    for epoch in range(arguments.epochs):
        loss = contender.epoch(epoch_order(epoch, len(images))) / len(images)
        with torch.no_grad():
            test_mse = torch.nn.functional.mse_loss(contender.model(x), x).item()
        epochs.append({"epoch": epoch + 1, "train_loss": loss, "test_mse": test_mse})
    arguments.out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        drawn = contender.model(x[:10]).numpy()
    caption = f"PyTorch eager: test error {epochs[-1]['test_mse']:.4f} a pixel"
    figures.reconstructions(arguments.out / "reconstructions.png", test_images[:10], [("PyTorch", drawn)], caption)
    figures.loss_curve(arguments.out / "loss.png", epochs, caption)
    (arguments.out / "history.json").write_text(json.dumps({"epochs": epochs}))


if __name__ == "__main__":
    main()
