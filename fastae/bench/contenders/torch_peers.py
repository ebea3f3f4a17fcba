"""PyTorch in several ways: with autograd, compiled, with gradients by hand, and captured into a CUDA graph."""

import atexit
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from fastae.bench.contenders.job import STEPS_A_GRAPH, initial_parameters, rate, whole_batches
from fastae.bench.contenders.torch_networks import sequential
from fastae.errors import InputError
from fastae.ranks import join


class _Torch:
    """The data, and the loop over the batches.

    The images stay bytes. They are gathered once per epoch and divided batch by batch. From batch size 16 on this is
    faster than indexing a float tensor of all images, which has 188 MB and fits in no cache; at 1 it costs 1.5 µs more.
    """

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        loss: str,
        threads: int | None = None,
        device: str = "cpu",
        model: str = "dense",
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.threads, self.device = torch.get_num_threads(), device
        self.images = torch.from_numpy(images).to(device)
        self.batch_size, self.loss, self.lr = batch_size, loss, rate(loss, model)
        self.share = slice(0, batch_size)  # of the images of a batch, those that this process trains on

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        own = whole_batches(order, self.batch_size)[:, self.share].ravel()
        return self.train(self.images.index_select(0, torch.from_numpy(own).to(self.device)))

    def train(self, images: Tensor) -> float:
        """Train on whole batches of bytes, (n, 784), and return the sum of their losses."""
        total = torch.zeros((), device=self.device)
        for batch in images.split(self.share.stop - self.share.start):
            total += self.step(batch)
        return total.item()

    def step(self, batch: Tensor) -> Tensor:
        """Train on one batch of bytes, (m, 784), and return the sum of its losses."""
        raise NotImplementedError


class TorchEager(_Torch):
    """nn.Sequential, autograd and torch.optim.SGD."""

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        loss: str,
        threads: int | None = None,
        device: str = "cpu",
        model: str = "dense",
    ) -> None:
        super().__init__(images, batch_size, loss, threads, device, model)
        self.model = sequential(loss, model).to(device)
        self.loss_sum = loss_sum(loss)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=self.lr, fused=True)

    def step(self, batch: Tensor) -> Tensor:
        """Train on one batch of bytes, (m, 784), and return the sum of its losses."""
        x = batch / 255
        loss = self.loss_sum(self.model(x), x)
        self.optimizer.zero_grad(set_to_none=True)
        self.mean(loss, len(x)).backward()
        self.optimizer.step()
        return loss.detach()

    def mean(self, loss: Tensor, m: int) -> Tensor:
        """Return what is differentiated: the mean over the m images of a batch of their summed loss."""
        return loss / m


class TorchDistributed(TorchEager):
    """`TorchEager` in DistributedDataParallel over gloo; each rank has a share of every batch.

    Gradients that are views of the communication buckets were faster. A static graph, and a fused update instead of a
    foreach one, made no difference beyond the spread.
    """

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        self.world: Any = join("mpi")
        rank, size = self.world.rank, self.world.size
        if rank == 0:
            store = distributed.TCPStore("127.0.0.1", 0, size, is_master=True, wait_for_workers=False)
        port = self.world.broadcast(store.port if rank == 0 else None)
        if rank != 0:
            store = distributed.TCPStore("127.0.0.1", port, size)
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
        atexit.register(distributed.destroy_process_group)
        super().__init__(images, batch_size, loss, threads, model=model)
        self.share = slice(batch_size * rank // size, batch_size * (rank + 1) // size)
        self.part = size / batch_size
        self.model = DistributedDataParallel(self.model, gradient_as_bucket_view=True, static_graph=True)

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of all ranks' losses."""
        return sum(self.world.all_gather(super().epoch(order)))

    def mean(self, loss: Tensor, m: int) -> Tensor:
        """Return what is differentiated; DistributedDataParallel takes the mean of it over the ranks."""
        return loss * self.part


class TorchChannelsLast(TorchEager):
    """`TorchEager` with weights, and so also activations, in the memory format channels last, as PyTorch advises."""

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        loss: str,
        threads: int | None = None,
        device: str = "cpu",
        model: str = "conv",
    ) -> None:
        super().__init__(images, batch_size, loss, threads, device, model)
        self.model.to(memory_format=torch.channels_last)


class TorchCompile(_Torch):
    """The whole step as one compiled graph, including the update; this is much faster than compiling the model only."""

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        loss: str,
        threads: int | None = None,
        device: str = "cpu",
        mode: str | None = None,
        model: str = "dense",
    ) -> None:
        super().__init__(images, batch_size, loss, threads, device, model)
        module, lr, loss_of = sequential(loss, model).to(device), self.lr, loss_sum(loss)
        self.parameters = {name: p.detach() for name, p in module.named_parameters()}
        if device != "cpu":  # else what is changed in place would keep it from using CUDA graphs
            for p in self.parameters.values():
                torch._dynamo.mark_static_address(p)

        def mean_loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            return loss_of(torch.func.functional_call(module, parameters, (x,)), x) / len(x)

        def step(parameters: dict[str, Tensor], batch: Tensor) -> Tensor:
            gradients, loss = torch.func.grad_and_value(mean_loss)(parameters, batch / 255)
            for name, p in parameters.items():
                p.sub_(gradients[name], alpha=lr)
            return loss * len(batch)

        self.compiled: Callable[..., Any] = torch.compile(step, dynamic=False, mode=mode)

    def step(self, batch: Tensor) -> Tensor:
        """Train on one batch of bytes, (m, 784), and return the sum of its losses."""
        return self.compiled(self.parameters, batch)


def loss_sum(loss: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of a batch as a function of the model's output and the images, summed over both."""
    function = functional.mse_loss if loss == "mse" else functional.binary_cross_entropy_with_logits
    return lambda output, x: function(output, x, reduction="sum")


class TorchManual(_Torch):
    """Backpropagation by hand: products are added to the weights in place, and all buffers are allocated once."""

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, device: str = "cpu"
    ) -> None:
        super().__init__(images, batch_size, loss, threads, device)
        weights, biases = initial_parameters()
        self.W, self.b = ([torch.from_numpy(p).to(device) for p in group] for group in (weights, biases))
        self.y, self.d, self.e = (
            [torch.empty(batch_size, W.shape[1], device=device) for W in weights] for _ in range(3)
        )

    @torch.no_grad()
    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        return super().epoch(order)

    def step(self, batch: Tensor) -> Tensor:
        """Train on one batch of bytes, (m, 784), and return the sum of its losses."""
        W, b, y, d, e = self.W, self.b, self.y, self.d, self.e
        x = batch / 255
        a = [x, *y]
        for layer in range(len(W)):
            torch.addmm(b[layer], a[layer], W[layer], out=y[layer]).sigmoid_()
        z = y[-1]
        torch.sub(z, x, out=e[-1])
        if self.loss == "mse":
            loss = torch.dot(e[-1].view(-1), e[-1].view(-1))
            sigmoid_backward(e[-1].mul_(2 / len(x)), z, grad_input=d[-1])
        else:
            loss = functional.binary_cross_entropy(z, x, reduction="sum")
            torch.div(e[-1], len(x), out=d[-1])
        for layer in range(len(W) - 1, -1, -1):
            if layer > 0:
                torch.mm(d[layer], W[layer].T, out=e[layer - 1])
                sigmoid_backward(e[layer - 1], y[layer - 1], grad_input=d[layer - 1])
            W[layer].addmm_(a[layer].T, d[layer], alpha=-self.lr)
            b[layer].sub_(d[layer].sum(0), alpha=self.lr)
        return loss


class TorchCaptured(TorchManual):
    """`TorchManual` with several steps captured into one CUDA graph; on the CPU without a graph."""

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, device: str = "cpu"
    ) -> None:
        super().__init__(images, batch_size, loss, threads, device)
        if device == "cpu":
            return
        self.block = torch.zeros(STEPS_A_GRAPH, batch_size, images.shape[1], dtype=torch.uint8, device=device)
        self.total = torch.zeros((), device=device)
        kept = [p.clone() for p in self.W + self.b]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside), torch.no_grad():  # once before, as PyTorch's notes on CUDA graphs ask
            self.step(self.block[0])
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph), torch.no_grad():
            for batch in self.block:
                self.total += self.step(batch)
        for p, before in zip(self.W + self.b, kept):
            p.copy_(before)

    def train(self, images: Tensor) -> float:
        """Train on whole batches of bytes, (n, 784), and return the sum of their losses."""
        if self.device == "cpu":
            return super().train(images)
        batches = images.view(-1, *self.block.shape[1:])
        if len(batches) % STEPS_A_GRAPH:
            raise InputError(f"an epoch must be whole graphs of {STEPS_A_GRAPH} batches; it has {len(batches)} batches")
        self.total.zero_()
        for block in batches.split(STEPS_A_GRAPH):
            self.block.copy_(block)
            self.graph.replay()
        return self.total.item()


sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # delta · y · (1 − y) in one pass, as autograd has it
