"""
An image's way through the network
==================================

One test image, what each layer makes of it, and what comes out: 784 pixels, 256 units, 128 units (the code), 256 units,
784 pixels. The model has been trained for two epochs on 10,000 images. A bright square is a unit near 1.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastae

images, _ = fastae.load_dataset()
test_images, _ = fastae.load_dataset(split="test")
model = fastae.Autoencoder()
fastae.Trainer(model, loss="bce", optimizer=fastae.SGD(0.05)).fit(images[:10_000], epochs=2, progress=False)

# %%
# The activations, layer by layer, as the step computes them: a ← σ(a W + b).
activations = [test_images[0] / 255]
for W, b in zip(model.weights, model.biases):
    activations.append(1 / (1 + np.exp(-(activations[-1] @ W + b))))
assert np.allclose(activations[-1], model.reconstruct(test_images[:1])[0], atol=1e-5)

# %%
# Hidden layers have no shape of their own; they are drawn as rectangles.
shapes = [(28, 28), (16, 16), (16, 8), (16, 16), (28, 28)]
names = ["image x\n784", "σ(x W¹ + b¹)\n256", "code y\n128", "σ(y W¹′ + b¹′)\n256", "reconstruction z\n784"]
figure, axes = plt.subplots(1, 5, figsize=(7.4, 2.4), width_ratios=[28, 20, 10, 20, 28])
figure.get_layout_engine().set(wspace=0.3)
for axis, activation, shape, name in zip(axes, activations, shapes, names):
    axis.imshow(activation.reshape(shape), cmap="gray", vmin=0, vmax=1)
    axis.set_title(name, fontsize=9)
    axis.set_axis_off()
figure.draw_without_rendering()  # which lays the axes out
boxes = [axis.get_position() for axis in axes]
for left, right, name in zip(boxes, boxes[1:], ["W¹", "W²", "W¹′", "W²′"]):
    middle = (left.y0 + left.y1) / 2
    figure.text((left.x1 + right.x0) / 2, middle, f"{name}\n→", ha="center", va="center", fontsize=9)
plt.show()
