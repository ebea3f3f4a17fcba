"""Instructions of PTX as C++: the text of an asm statement becomes calls of ``language/ptx/``."""

import re
from collections.abc import Callable, Sequence

from fastae.backends.emulator.ptx.arithmetic import COUNTS, Arithmetic
from fastae.backends.emulator.ptx.memory import Memory
from fastae.backends.emulator.ptx.text import Refused, split
from fastae.backends.emulator.ptx.warps import Warps

NOTHING = (  # hints, and instructions that have no effect here
    "prefetch", "prefetchu", "discard", "applypriority", "griddepcontrol", "setmaxnreg", "pmevent", ".pragma", ".loc",
)  # fmt: skip


def instructions(text: str, kinds: Sequence[str]) -> tuple[str, str]:
    """Translate the text of an asm statement.

    Parameters
    ----------
    text : str
    kinds : sequence of str
        Of its operands: ``"u32"`` and so on; ``"number"`` of a constant.

    Returns
    -------
    tuple of str
        Declarations in C++, and the calls. Operand ``%0`` is the variable ``ptx_0``.
    """
    return _Translation(text, kinds).done()


class _Translation(Arithmetic, Memory, Warps):
    def done(self) -> tuple[str, str]:
        for predicate, negated, words in self.statements():
            call = self._instruction(words)
            if predicate:
                condition = self.register(predicate)
                call = f"if ({'!' if negated else ''}{condition}) {{ {call} }}"
            self.calls += f"{call} "
        if len(self.scopes) != 1:
            raise Refused("an asm statement with a brace that is not closed")
        labels = "".join(f"__label__ {name}; " for name in sorted(self.labels))
        if self.carry:
            self.declared += f"bool ptx_carry = {self.carry}; "
            self.calls += "emulated_ptx::keep_carry(ptx_carry); "
        return labels + self.declared, self.calls

    def _instruction(self, words: str) -> str:
        match = re.match(r"[\w.:]+", words)
        name = match[0] if match else words.split()[0]
        operation, *more = _parts(name)
        operands = split(words[len(name) :])
        if operation in NOTHING or (operation == "cp" and more[2:3] == ["prefetch"]):
            return ""
        unknown = Refused(f"the PTX instruction {name}")
        try:
            make: Callable[[list[str], list[str], str], str] | None = getattr(self, f"_do_{operation}", None)
            if make is not None:
                return make(more, operands, operation)
            if operation in COUNTS and len(operands) == COUNTS[operation]:
                return self._simple(more, operands, operation)
        except (AttributeError, IndexError, KeyError, StopIteration, ValueError):  # it has another form
            raise unknown from None
        raise unknown


def _parts(name: str) -> list[str]:
    """Split an instruction's name at its dots."""
    return [name] if name.startswith(".") else name.split(".")
