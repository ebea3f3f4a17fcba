"""PyTorch as its users write it, compiled, with the gradients by hand, and that captured into a CUDA graph."""

import atexit
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from fastae.bench.contenders.job import STEPS_A_GRAPH, initial_parameters, rate
from fastae.bench.contenders.torch_networks import sequential
from fastae.errors import InputError
from fastae.ranks import join


class _Torch:
    """The data, and the loop over the batches.

    The images stay bytes: gathered once an epoch and divided batch by batch, they cost less from batch size 16 on than
    a float tensor of all images (188 MB, out of any cache), however that is indexed, and 1.5 µs a step more at 1.
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

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        whole = len(order) // self.batch_size * self.batch_size
        return self.train(self.images.index_select(0, torch.from_numpy(order[:whole]).to(self.device)))

    def train(self, images: Tensor) -> float:
        """Train on whole batches of bytes, (n, 784), and return the sum of their losses."""
        total = torch.zeros((), device=self.device)
        for batch in images.split(self.batch_size):
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
        (loss / len(x)).backward()
        self.optimizer.step()
        return loss.detach()


class TorchDistributed(TorchEager):
    """The same in DistributedDataParallel over gloo, a share of every batch on each rank.

    Gradients that are views of the buckets that are sent were the faster ones. A graph that is declared to be the same
    in every step, and a fused update instead of a foreach one, made no difference beyond the spread.
    """

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        self.world: Any = join("mpi")
        rank, size = self.world.rank, self.world.size
        if rank == 0:
            store = distributed.TCPStore("127.0.0.1", 0, size, is_master=True, wait_for_workers=False)
        port = self.world.spread(store.port if rank == 0 else None)
        if rank != 0:
            store = distributed.TCPStore("127.0.0.1", port, size)
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
        atexit.register(distributed.destroy_process_group)
        super().__init__(images, batch_size, loss, threads, model=model)
        self.share = slice(batch_size * rank // size, batch_size * (rank + 1) // size)
        self.part = size / batch_size  # DistributedDataParallel takes the mean over the ranks
        self.model = DistributedDataParallel(self.model, gradient_as_bucket_view=True, static_graph=True)

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses, of all ranks."""
        whole = order[: len(order) // self.batch_size * self.batch_size]
        mine = whole.reshape(-1, self.batch_size)[:, self.share].ravel()
        images = self.images.index_select(0, torch.from_numpy(mine))
        total = torch.zeros(())
        for batch in images.split(self.share.stop - self.share.start):
            total += self.step(batch)
        return sum(self.world.gather(total.item()))

    def step(self, batch: Tensor) -> Tensor:
        """Train on this rank's images of a batch, bytes, (m, 784), and return the sum of their losses."""
        x = batch / 255
        loss = self.loss_sum(self.model(x), x)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * self.part).backward()
        self.optimizer.step()
        return loss.detach()


class TorchChannelsLast(TorchEager):
    """The same with weights, and so activations too, whose channels lie side by side, as PyTorch's tutorial advises."""

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
    """One compiled graph for the whole step, update included: much faster than compiling the model alone."""

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
    """Backpropagation by hand: products added to the weights in place, every activation in a buffer made once."""

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
    """The steps by hand, captured into one CUDA graph of several; on the CPU, which has none, as they are."""

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
