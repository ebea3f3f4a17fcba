"""Instructions of PTX for memory, as calls of ``language/ptx/memory.h``: loads, stores, atomics, copies, mbarrier."""

import re

from fastae.backends.emulator.ptx.text import HALVES, C, Text, split

SPACES = {"global": "GLOBAL", "shared": "SHARED", "shared::cta": "SHARED", "shared::cluster": "CLUSTER",
          "local": "GENERIC", "const": "GENERIC"}  # fmt: skip


class Memory(Text):
    """``_do_ld`` translates the instruction ``ld``, and so on."""

    def _how(self, more: list[str]) -> tuple[str, int, str]:
        """Return the state space, the number of values, and their type; raises `KeyError` for an unknown qualifier."""
        known = {*SPACES, "v2", "v4", "v8", "nc", "weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "cta",
                 "gpu", "sys", "cluster", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "unified", "noftz"}  # fmt: skip
        hints = re.compile(r"L[12]::\w+")
        *rest, kind = more
        if any(m not in known and not hints.fullmatch(m) for m in rest) or kind not in C:
            raise KeyError
        space = next((SPACES[m] for m in rest if m in SPACES), "GENERIC")
        return space, next((int(m[1:]) for m in rest if m in ("v2", "v4", "v8")), 1), kind

    def _order(self, more: list[str]) -> str:
        """Return the memory order of an access, and whether its scope is the block, as arguments in C++."""
        orders = [m.upper() for m in more if m in ("volatile", "relaxed", "acquire", "release", "acq_rel")]
        return "emulated_ptx::" + (orders[0] if orders else "WEAK") + (", true" if "cta" in more else ", false")

    def _do_ld(self, more: list[str], operands: list[str], _: str) -> str:
        space, count, kind = self._how(more)
        kind = {"f16": "b16", "bf16": "b16", "f16x2": "b32", "bf16x2": "b32"}.get(kind, kind)
        place = self.address(operands[1], space)
        if any(m in more for m in ("volatile", "relaxed", "acquire")):
            if count > 1:
                raise KeyError
            return self.write(operands[0], f"emulated_ptx::ld_strong<{C[kind]}>({place}, {self._order(more)})")
        names = split(operands[0].strip()[1:-1]) if count > 1 else [operands[0]]
        if len(names) != count:
            raise ValueError
        if count == 1:
            return self.write(operands[0], f"emulated_ptx::ld<{C[kind]}, 1>({place}).x[0]")
        parts = "".join(f" {self.write(name, f'ptx_v.x[{i}]')}" for i, name in enumerate(names))
        return f"{{ const auto ptx_v = emulated_ptx::ld<{C[kind]}, {count}>({place});{parts} }}"

    _do_ldu = _do_ld

    def _do_st(self, more: list[str], operands: list[str], _: str) -> str:
        space, count, kind = self._how(more)
        kind = {"f16": "b16", "bf16": "b16", "f16x2": "b32", "bf16x2": "b32"}.get(kind, kind)
        place = self.address(operands[0], space)
        names = split(operands[1].strip()[1:-1]) if count > 1 else [operands[1]]
        if len(names) != count:
            raise ValueError
        values = ", ".join(self.read(name, kind) for name in names)
        if any(m in more for m in ("volatile", "relaxed", "release")):
            if count > 1:
                raise KeyError
            return f"emulated_ptx::st_strong<{C[kind]}>({place}, {values}, {self._order(more)});"
        return f"emulated_ptx::st<{C[kind]}, {count}>({place}, {{{{{values}}}}});"

    def _do_atom(self, more: list[str], operands: list[str], operation: str) -> str:
        known = ("add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas")
        what = next(m for m in more if m in known) if set(more) & set(known) else more[99]
        space, count, kind = self._how([m for m in more if m != what])
        if operation == "red":
            operands = ["_", *operands]
        place = self.address(operands[1], space)
        if count > 1 or kind in HALVES:
            raise KeyError
        values = ", ".join(self.read(o, kind) for o in operands[2 : 4 if what == "cas" else 3])
        order = self._order(more if set(more) & {"acquire", "release", "acq_rel"} else [*more, "relaxed"])
        call = f"emulated_ptx::atom_{what}<{C[kind]}>({place}, {values}, {order})"
        return self.write(operands[0], call)

    _do_red = _do_atom

    def _do_cp(self, more: list[str], operands: list[str], _: str) -> str:
        if more[:1] != ["async"]:
            raise KeyError
        if more[1] == "commit_group":
            return "emulated_ptx::commit_group();"
        if more[1] == "wait_group":
            return f"emulated_ptx::wait_group({self.read(operands[0], 'u32')});"
        if more[1] == "wait_all":
            return "emulated_ptx::commit_group(); emulated_ptx::wait_group(0);"
        if more[1] == "mbarrier":
            raise KeyError
        if more[1] not in ("ca", "cg") or not more[2].startswith("shared") or more[3] != "global":
            raise KeyError
        to, source = self.address(operands[0], "SHARED"), self.address(operands[1], "GLOBAL")
        size = self.read(operands[2], "u32")
        read = size
        if len(operands) > 3 and "L2::cache_hint" not in more:
            third = operands[3].strip().lstrip("!")
            if any(third.lstrip("%") in scope for scope in self.scopes):  # a predicate: ignore the source
                read = f"({self.read(operands[3], 'pred')} ? 0u : {size})"
            else:
                read = self.read(operands[3], "u32")
        return f"emulated_ptx::cp_async({to}, {source}, {size}, {read}, {str(more[1] == 'cg').lower()});"

    def _do_mbarrier(self, more: list[str], operands: list[str], _: str) -> str:
        what, rest = more[0], more[1:]
        if "noComplete" in rest or "expect_tx" in rest or "shared::cluster" in rest:
            raise KeyError
        if what == "inval":
            return ""
        if what == "init":
            place, count = self.address(operands[0], "SHARED"), self.read(operands[1], "u32")
            return f"emulated_ptx::mbarrier_init({place}, {count});"
        if what in ("arrive", "arrive_drop"):
            named = not operands[0].strip().startswith("[")
            place = self.address(operands[named], "SHARED")
            count = self.read(operands[named + 1], "u32") if len(operands) > named + 1 else "1"
            call = f"emulated_ptx::mbarrier_arrive({place}, {count}, {str(what != 'arrive').lower()})"
            return self.write(operands[0] if named else "_", call)
        if what in ("test_wait", "try_wait"):
            p, a, phase = operands[:3]
            parity = "parity" in rest
            call = f"emulated_ptx::mbarrier_{'parity' if parity else 'test'}({self.address(a, 'SHARED')}, "
            return f"{self.register(p)} = {call}{self.read(phase, 'u32' if parity else 'u64')});"
        raise KeyError

    # Cache policies, which are hints.

    def _do_createpolicy(self, more: list[str], operands: list[str], _: str) -> str:
        return self.write(operands[0], "0ull")
