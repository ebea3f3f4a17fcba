"""Instructions of PTX that compute, compare and convert, as calls of ``language/ptx/arithmetic.h``."""

from fastae.backends.emulator.ptx.text import HALVES, C, Text

DIRECTIONS = {"rn": "rn", "rz": "rz", "rm": "rd", "rp": "ru"}  # of rounding, as CUDA's functions call them
COUNTS = {  # operands, the result included, of instructions that become a call of the function of their name
    "add": 3, "sub": 3, "div": 3, "rem": 3, "abs": 2, "neg": 2, "min": 3, "max": 3, "and": 3, "or": 3, "xor": 3,
    "not": 2, "cnot": 2, "shl": 3, "shr": 3, "sad": 4, "brev": 2, "popc": 2, "clz": 2, "bfind": 2, "bfe": 4, "bfi": 5,
    "copysign": 3, "sqrt": 2, "rsqrt": 2, "rcp": 2, "ex2": 2, "lg2": 2, "sin": 2, "cos": 2, "tanh": 2, "fma": 4,
}  # fmt: skip
NAMES = {"and": "and_", "or": "or_", "xor": "xor_", "not": "not_", "div": "div_", "abs": "abs_"}
OF_HALVES = {"add": "__hadd", "sub": "__hsub", "mul": "__hmul", "fma": "__hfma", "min": "__hmin", "max": "__hmax",
             "neg": "__hneg", "abs": "__habs"}  # fmt: skip
DIRECTED = {"add": "add", "sub": "sub", "mul": "mul", "fma": "fma", "div": "div", "rcp": "rcp", "sqrt": "sqrt"}


class Arithmetic(Text):
    """``_do_mul`` translates the instruction ``mul``, and so on; `_simple` translates those of `COUNTS`."""

    def _simple(self, more: list[str], operands: list[str], operation: str) -> str:
        kind = more[-1]
        if "cc" in more:
            return self._add_with_carry(more, operands, operation)
        types = [kind] * (len(operands) - 1)
        if operation in ("shl", "shr"):
            types[1] = "u32"
        elif operation == "bfe":
            types[1:] = ["u32", "u32"]
        elif operation == "bfi":
            types[2:] = ["u32", "u32"]
        elif operation == "sad":
            types[2] = kind
        values = ", ".join(self.read(o, t) for o, t in zip(operands[1:], types))
        if kind in HALVES:
            return self.write(operands[0], self._of_halves(operation, more, kind, values))
        mode = next((DIRECTIONS[m] for m in more if m in DIRECTIONS), "")
        if mode and operation in DIRECTED and kind in ("f32", "f64"):
            letter = {"f32": "f", "f64": "d"}[kind]
            function = f"__{letter}{DIRECTED[operation]}_{mode}"
            if operation == "fma":
                function = f"__fma{'f' if kind == 'f32' else ''}_{mode}"
            value = f"{function}({values})"
        elif operation in ("min", "max") and "NaN" in more:
            value = f"emulated_ptx::{operation}_or_nan({values})"
        elif operation == "bfind" and "shiftamt" in more:
            value = f"emulated_ptx::bfind_shift<{C[kind]}>({values})"
        else:
            value = f"emulated_ptx::{NAMES.get(operation, operation)}<{C[kind]}>({values})"
        if "sat" in more:
            if kind[0] != "f":
                sign = {"add": "+", "sub": "-"}[operation]
                value = f" {sign} ".join(f"(long long)({self.read(o, kind)})" for o in operands[1:])
            value = f"emulated_ptx::saturated<{C[kind]}>({value})"
        return self.write(operands[0], value)

    def _of_halves(self, operation: str, more: list[str], kind: str, values: str) -> str:
        if operation == "ex2" or operation == "tanh":
            functions = {"ex2": "exp2", "tanh": "tanh"}
            pair = kind.endswith("x2")
            return f"{'h2' if pair else 'h'}{functions[operation]}({values})"
        function = OF_HALVES[operation] + ("2" if kind.endswith("x2") else "")
        if "sat" in more:
            function += "_sat"
        if "relu" in more:
            function += "_relu"
        if "NaN" in more:
            function += "_nan"
        return f"{function}({values})"

    def _do_mul(self, more: list[str], operands: list[str], _: str) -> str:
        kind = more[-1]
        x, y = operands[1:]
        if kind in HALVES or kind in ("f32", "f64"):
            return self._simple(more, operands, "mul")
        part = more[0]
        return self.write(
            operands[0], f"emulated_ptx::mul_{part}<{C[kind]}>({self.read(x, kind)}, {self.read(y, kind)})"
        )

    def _do_mad(self, more: list[str], operands: list[str], operation: str) -> str:
        kind, part = more[-1], more[0]
        d, x, y, z = operands
        if kind in ("f32", "f64"):
            more = more if any(m in DIRECTIONS for m in more) else ["rn", *more]
            return self._simple(more, operands, "fma")
        wide = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}[kind] if part == "wide" else kind
        product = f"emulated_ptx::mul_{part}<{C[kind]}>({self.read(x, kind)}, {self.read(y, kind)})"
        if "cc" in more or operation == "madc":
            return self._carried(d, "add_carry", wide, product, self.read(z, wide), operation == "madc", "cc" in more)
        if "sat" in more:
            return self.write(d, f"emulated_ptx::saturated<{C[kind]}>((long long)({product}) + {self.read(z, kind)})")
        return self.write(d, f"emulated_ptx::add<{C[wide]}>({product}, {self.read(z, wide)})")

    _do_madc = _do_mad

    def _do_mul24(self, more: list[str], operands: list[str], _: str) -> str:
        part, kind = more
        value = f"emulated_ptx::mul24_{part}<{C[kind]}>({self.read(operands[1], kind)}, {self.read(operands[2], kind)})"
        return self.write(operands[0], value)

    def _do_mad24(self, more: list[str], operands: list[str], _: str) -> str:
        part, kind = more
        value = f"emulated_ptx::mul24_{part}<{C[kind]}>({self.read(operands[1], kind)}, {self.read(operands[2], kind)})"
        return self.write(operands[0], f"emulated_ptx::add<{C[kind]}>({value}, {self.read(operands[3], kind)})")

    def _add_with_carry(self, more: list[str], operands: list[str], operation: str) -> str:
        kind = more[-1]
        takes, gives = operation in ("addc", "subc"), "cc" in more
        function = "sub_borrow" if operation.startswith("sub") else "add_carry"
        x, y = self.read(operands[1], kind), self.read(operands[2], kind)
        return self._carried(operands[0], function, kind, x, y, takes, gives)

    _do_addc = _do_subc = _add_with_carry

    def _carried(self, d: str, function: str, kind: str, x: str, y: str, takes: bool, gives: bool) -> str:
        self.carry = self.carry or ("emulated_ptx::kept_carry()" if takes else "false")
        kind = {"s32": "u32", "s64": "u64"}.get(kind, kind)
        value = f"emulated_ptx::{function}<{C[kind]}>({x}, {y}, {'ptx_carry' if takes else 'false'}, "
        return self.write(d, value + f"{'&ptx_carry' if gives else 'nullptr'})")

    def _do_mov(self, more: list[str], operands: list[str], _: str) -> str:
        d, a = operands
        kind = more[-1]
        if kind == "pred":
            return f"{self.register(d)} = {self.read(a, 'pred')};"
        return self.write(d, self.read(a, kind))

    def _do_cvta(self, more: list[str], operands: list[str], _: str) -> str:
        to, space = more[0] == "to", more[-2]
        function = f"cvta_{'to_' if to else 'from_'}{'shared' if space.startswith('shared') else 'global'}"
        return self.write(operands[0], f"emulated_ptx::{function}({self.read(operands[1], 'u64')})")

    def _do_isspacep(self, more: list[str], operands: list[str], _: str) -> str:
        spaces = {"shared": "shared", "shared::cta": "shared", "global": "global", "local": "local"}
        return f"{self.register(operands[0])} = emulated_ptx::is_{spaces[more[-1]]}({self.read(operands[1], 'u64')});"

    def _do_cvt(self, more: list[str], operands: list[str], _: str) -> str:
        if more[-1] not in C:
            raise KeyError
        d, a = operands[0], operands[-1]
        to, of = more[-2], more[-1]
        modes = more[:-2]
        if to == "pack" or set(modes) - {*DIRECTIONS, "rni", "rzi", "rmi", "rpi", "rna", "ftz", "sat", "relu"}:
            raise KeyError
        mode = next((DIRECTIONS[m] for m in modes if m in DIRECTIONS), "")
        whole = next((DIRECTIONS[m[:2]] for m in modes if m in ("rni", "rzi", "rmi", "rpi")), "")
        if to == "tf32":
            return self.write(d, f"emulated_ptx::tf32({self.read(a, 'f32')})")
        if to in ("f16x2", "bf16x2"):  # the first in the upper half
            one = "half" if to == "f16x2" else "bfloat16"
            upper, lower = (f"__float2{one}_{mode}({self.read(o, 'f32')})" for o in operands[1:])
            value = f"__halves2{'half2' if to == 'f16x2' else 'bfloat162'}({lower}, {upper})"
            return self.write(d, f"__hmax2({value}, {C[to]}())" if "relu" in modes else value)
        value = self.read(a, of)
        if to in ("f16", "bf16") or of in ("f16", "bf16"):
            return self.write(d, self._half(to, of, mode, whole, value))
        if of[0] == "f" and to[0] == "f":
            if to == of:
                value = f"emulated_ptx::rounded_{whole or 'not'}({value})"
            elif to == "f32":
                value = f"__double2float_{mode or 'rn'}({value})"
            return self.write(
                d, f"emulated_ptx::saturated<{C[to]}>({C[to]}({value}))" if "sat" in modes else f"{C[to]}({value})"
            )
        if of[0] == "f":
            return self.write(d, f"emulated_ptx::to_integer<{C[to]}>(emulated_ptx::rounded_{whole}({value}))")
        if to[0] == "f":
            name = {"u32": "uint", "s32": "int", "u64": "ull", "s64": "ll"}.get(of, "int")
            exact = to == "f64" and of not in ("u64", "s64")
            rounded = f"__{name}2{'float' if to == 'f32' else 'double'}_{mode or 'rn'}({value})"
            value = f"double({value})" if exact else rounded
            return self.write(d, f"emulated_ptx::saturated<{C[to]}>({value})" if "sat" in modes else value)
        return self.write(d, f"emulated_ptx::{'clamped' if 'sat' in modes else 'converted'}<{C[to]}>({value})")

    def _half(self, to: str, of: str, mode: str, whole: str, value: str) -> str:
        names = {"f16": "half", "bf16": "bfloat16", "f32": "float", "f64": "double", "s32": "int", "u32": "uint",
                 "s16": "short", "u16": "ushort", "s64": "ll", "u64": "ull"}  # fmt: skip
        if to == of:
            return f"{ {'rd': 'hfloor', 'ru': 'hceil', 'rn': 'hrint', 'rz': 'htrunc'}[whole] }({value})"
        if to == "f32":
            return f"__{'half2float' if of == 'f16' else 'bfloat162float'}({value})"
        if to in ("f16", "bf16"):
            if of == "f64":
                return f"__double2{names[to]}({value})"
            return f"__{names[of]}2{names[to]}_{mode or 'rn'}({value})"
        return f"__{names[of]}2{names[to]}_{whole}({value})"

    def _do_setp(self, more: list[str], operands: list[str], _: str) -> str:
        kind, comparison = more[-1], more[0]
        x, y = self.read(operands[1], kind), self.read(operands[2], kind)
        value = f"emulated_ptx::compare_{comparison}({x}, {y})"
        p, _, q = operands[0].partition("|")
        combine = next((m for m in more[1:-1] if m in ("and", "or", "xor")), "")
        both = {"and": "{} && {}", "or": "{} || {}", "xor": "{} != {}", "": "{}"}[combine]
        third = self.read(operands[3], "pred") if combine else ""
        call = "" if p.strip() == "_" else f"{self.register(p)} = {both.format('ptx_c', third)};"
        if q.strip() and q.strip() != "_":
            call += f" {self.register(q)} = {both.format('!ptx_c', third)};"
        return f"{{ const bool ptx_c = {value}; {call} }}"

    def _do_set(self, more: list[str], operands: list[str], _: str) -> str:
        to, kind = more[-2:]
        x, y = self.read(operands[1], kind), self.read(operands[2], kind)
        true, false = ("1.0f", "0.0f") if to == "f32" else ("~0u", "0u")
        return self.write(operands[0], f"emulated_ptx::compare_{more[0]}({x}, {y}) ? {true} : {false}")

    def _do_selp(self, more: list[str], operands: list[str], _: str) -> str:
        d, x, y, p = operands
        value = f"{self.read(p, 'pred')} ? {self.read(x, more[-1])} : {self.read(y, more[-1])}"
        return self.write(d, value)

    def _do_slct(self, more: list[str], operands: list[str], _: str) -> str:
        d, x, y, c = operands
        value = f"{self.read(c, more[-1])} >= 0 ? {self.read(x, more[-2])} : {self.read(y, more[-2])}"
        return self.write(d, value)

    def _logic(self, more: list[str], operands: list[str], operation: str) -> str:
        if more[-1] != "pred":
            return self._simple(more, operands, operation)
        values = [self.read(o, "pred") for o in operands[1:]]
        signs = {"and": "{} & {}", "or": "{} | {}", "xor": "{} ^ {}", "not": "!{}"}
        return f"{self.register(operands[0])} = {signs[operation].format(*values)};"

    _do_and = _do_or = _do_xor = _do_not = _logic

    def _do_prmt(self, more: list[str], operands: list[str], _: str) -> str:
        mode = f"_{more[1]}" if len(more) > 1 else (f"_{more[0]}" if more[0] != "b32" else "")
        values = ", ".join(self.read(o, "u32") for o in operands[1:])
        return self.write(operands[0], f"__byte_perm({values})" if not mode else f"emulated_ptx::prmt{mode}({values})")

    def _do_lop3(self, more: list[str], operands: list[str], _: str) -> str:
        if more != ["b32"]:
            raise KeyError
        values = ", ".join(self.read(o, "u32") for o in operands[1:])
        return self.write(operands[0], f"emulated_ptx::lop3({values})")

    def _do_shf(self, more: list[str], operands: list[str], _: str) -> str:
        direction, mode, _ = more
        values = ", ".join(self.read(o, "u32") for o in operands[1:])
        return self.write(operands[0], f"__funnelshift_{direction}{'c' if mode == 'clamp' else ''}({values})")

    def _do_testp(self, more: list[str], operands: list[str], _: str) -> str:
        return f"{self.register(operands[0])} = emulated_ptx::testp_{more[0]}({self.read(operands[1], more[1])});"

    def _do_dp4a(self, more: list[str], operands: list[str], operation: str) -> str:
        *_, of_x, of_y = more
        sum_kind = "s32" if "s32" in (of_x, of_y) else "u32"
        part = f"_{more[0]}" if operation == "dp2a" else ""
        d, x, y, z = operands
        values = f"{self.read(x, of_x)}, {self.read(y, of_y)}, {self.read(z, sum_kind)}"
        return self.write(d, f"emulated_ptx::{operation}{part}({values})")

    _do_dp2a = _do_dp4a
