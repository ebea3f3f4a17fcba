"""Instructions of PTX for several threads, as calls of ``language/ptx/warps.h`` and ``matrices.h``."""

import re

from fastae.backends.emulator.ptx.text import Text, split


class Warps(Text):
    """``_do_shfl`` translates the instruction ``shfl``, and so on."""

    def _do_bar(self, more: list[str], operands: list[str], _: str) -> str:
        more = [m for m in more if m not in ("cta", "aligned")]
        if more[0] == "warp":
            return f"emulated_ptx::warp_sync({self.read(operands[0], 'u32')});"
        if more[0] == "red":
            value = {"popc": "__syncthreads_count", "and": "__syncthreads_and", "or": "__syncthreads_or"}[more[1]]
            if len(operands) != 3:
                raise KeyError
            call = f"{value}({self.read(operands[2], 'pred')})"
            if more[1] == "popc":
                return self.write(operands[0], call)
            return f"{self.register(operands[0])} = {call} != 0;"
        number = self.read(operands[0], "u32")
        count = self.read(operands[1], "u32") if len(operands) > 1 else "0"
        if more[0] == "sync":
            return f"emulated_ptx::bar_sync({number}, {count});"
        if more[0] == "arrive" and len(operands) > 1:
            return f"emulated_ptx::bar_arrive({number}, {count});"
        raise KeyError

    _do_barrier = _do_bar

    def _do_membar(self, more: list[str], operands: list[str], _: str) -> str:
        if "proxy" in more:
            return ""
        return "__threadfence_block();" if more[-1] == "cta" or (more[0] == "mbarrier_init") else "__threadfence();"

    _do_fence = _do_membar

    def _do_nanosleep(self, more: list[str], operands: list[str], _: str) -> str:
        return f"__nanosleep({self.read(operands[0], 'u32')});"

    def _do_trap(self, more: list[str], operands: list[str], _: str) -> str:
        return "__trap();"

    def _do_bra(self, more: list[str], operands: list[str], _: str) -> str:
        return f"goto {self.label(operands[0].strip())};"

    def _do_activemask(self, more: list[str], operands: list[str], _: str) -> str:
        return self.write(operands[0], "__activemask()")

    def _do_shfl(self, more: list[str], operands: list[str], _: str) -> str:
        _, mode, _ = more
        d, a, b, c, mask = operands
        d, _, p = d.partition("|")
        values = ", ".join(self.read(o, "u32") for o in (a, b, c, mask))
        valid = f" {self.register(p)} = ptx_in;" if p.strip() and p.strip() != "_" else ""
        call = self.write(d, f"emulated_ptx::shfl_{mode}({values}, ptx_in)")
        return f"{{ bool ptx_in; {call}{valid} }}"

    def _do_vote(self, more: list[str], operands: list[str], _: str) -> str:
        function = {"all": "__all_sync", "any": "__any_sync", "uni": "__uni_sync", "ballot": "__ballot_sync"}[more[1]]
        call = f"{function}({self.read(operands[2], 'u32')}, {self.read(operands[1], 'pred')})"
        if more[1] == "ballot":
            return self.write(operands[0], call)
        return f"{self.register(operands[0])} = {call} != 0;"

    def _do_match(self, more: list[str], operands: list[str], _: str) -> str:
        d, a, mask = operands
        kind = more[-1]
        if more[0] == "any":
            return self.write(d, f"__match_any_sync({self.read(mask, 'u32')}, {self.read(a, kind)})")
        d, _, p = d.partition("|")
        valid = f" {self.register(p)} = ptx_all != 0;" if p.strip() else ""
        call = f"__match_all_sync({self.read(mask, 'u32')}, {self.read(a, kind)}, &ptx_all)"
        return f"{{ int ptx_all; {self.write(d, call)}{valid} }}"

    def _do_redux(self, more: list[str], operands: list[str], _: str) -> str:
        _, what, kind = more
        d, a, mask = operands
        kind = "u32" if kind == "b32" else kind
        return self.write(d, f"__reduce_{what}_sync({self.read(mask, 'u32')}, {self.read(a, kind)})")

    def _do_elect(self, more: list[str], operands: list[str], _: str) -> str:
        d, _, p = operands[0].partition("|")
        call = f"emulated_ptx::elect({self.read(operands[1], 'u32')}, ptx_first)"
        return f"{{ unsigned ptx_first; {self.register(p)} = {call}; {self.write(d, 'ptx_first')} }}"

    # Matrices.

    def _do_ldmatrix(self, more: list[str], operands: list[str], _: str) -> str:
        if "m8n8" not in more or more[-1] != "b16":
            raise KeyError
        count = next(int(m[1:]) for m in more if m in ("x1", "x2", "x4"))
        names = split(operands[0].strip().strip("{}"))
        if len(names) != count:
            raise ValueError
        parts = "".join(f" {self.write(name, f'ptx_v.x[{i}]')}" for i, name in enumerate(names))
        place = self.address(operands[1], "SHARED")
        return (
            f"{{ const auto ptx_v = emulated_ptx::ldmatrix<{count}, {str('trans' in more).lower()}>({place});{parts} }}"
        )

    def _do_stmatrix(self, more: list[str], operands: list[str], _: str) -> str:
        if "m8n8" not in more or more[-1] != "b16":
            raise KeyError
        count = next(int(m[1:]) for m in more if m in ("x1", "x2", "x4"))
        values = ", ".join(self.read(name, "u32") for name in split(operands[1].strip().strip("{}")))
        place = self.address(operands[0], "SHARED")
        return f"emulated_ptx::stmatrix<{count}, {str('trans' in more).lower()}>({place}, {{{{{values}}}}});"

    def _do_movmatrix(self, more: list[str], operands: list[str], _: str) -> str:
        return self.write(operands[0], f"emulated_ptx::movmatrix({self.read(operands[1], 'u32')})")

    def _do_mma(self, more: list[str], operands: list[str], _: str) -> str:
        known = {"sync", "aligned", "row", "col", "satfinite"}
        shape, *types = [m for m in more if m not in known]
        to, of_a, of_b, of_c = types
        m, n, k = map(int, re.fullmatch(r"m(\d+)n(\d+)k(\d+)", shape).groups())  # type: ignore[union-attr]
        factors = {"f16": "F16", "bf16": "BF16", "tf32": "TF", "s8": "S8", "u8": "U8", "f64": "F64"}
        sums = {"f16": "F16", "f32": "F32", "s32": "S32", "f64": "F64"}
        bits = {"f16": 16, "bf16": 16, "tf32": 32, "s8": 8, "u8": 8, "f64": 64}[of_a]
        shapes = {
            64: [(8, 8, 4)],
            32: [(16, 8, 4), (16, 8, 8)],
            16: [(16, 8, 8), (16, 8, 16)],
            8: [(16, 8, 16), (16, 8, 32)],
        }
        row, col = more.index("row"), more.index("col")
        if (m, n, k) not in shapes[bits] or of_c != to or row > col:
            raise KeyError
        width = 64 if bits == 64 else 32
        of_sum = {"f16": 16, "f32": 32, "s32": 32, "f64": 64}[to]
        a, b, c = (split(o.strip().strip("{}")) for o in operands[1:])
        d = split(operands[0].strip().strip("{}"))
        if [len(a), len(b), len(c)] != [
            m * k * bits // width // 32,
            n * k * bits // width // 32,
            m * n * of_sum // width // 32,
        ]:
            raise ValueError
        kind = "b64" if bits == 64 else "b32"
        given = ", ".join("{" + ", ".join(self.read(x, kind) for x in regs) + "}" for regs in (a, b, c))
        saturates = str("satfinite" in more).lower()
        call = (
            f"emulated_ptx::mma<{m}, {n}, {k}, emulated_ptx::{sums[to]}, emulated_ptx::{factors[of_a]}, "
            f"emulated_ptx::{factors[of_b]}, {saturates}>({given})"
        )
        parts = "".join(f" {self.write(name, f'ptx_v.x[{i}]')}" for i, name in enumerate(d))
        return f"{{ const auto ptx_v = {call};{parts} }}"
