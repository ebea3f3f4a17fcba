"""Instructions of PTX as calls of ptx.h. (NVIDIA, PTX ISA 8.)"""

import re
from collections.abc import Callable, Iterator, Sequence

NOT_EMULATED = "is not emulated"  # what is said of the rest

C = {  # PTX's types in C++
    "b8": "unsigned char", "u8": "unsigned char", "s8": "signed char", "b16": "unsigned short",
    "u16": "unsigned short", "s16": "short", "b32": "unsigned", "u32": "unsigned", "s32": "int",
    "b64": "unsigned long long", "u64": "unsigned long long", "s64": "long long", "f32": "float", "f64": "double",
    "pred": "bool", "f16": "__half", "f16x2": "__half2", "bf16": "__nv_bfloat16", "bf16x2": "__nv_bfloat162",
}  # fmt: skip
HALVES = ("f16", "f16x2", "bf16", "bf16x2")
DIRECTIONS = {"rn": "rn", "rz": "rz", "rm": "rd", "rp": "ru"}  # of rounding, as CUDA's functions call them
COUNTS = {  # of operands, the first being what is written, of what C++ has by the same name
    "add": 3, "sub": 3, "div": 3, "rem": 3, "abs": 2, "neg": 2, "min": 3, "max": 3, "and": 3, "or": 3, "xor": 3,
    "not": 2, "cnot": 2, "shl": 3, "shr": 3, "sad": 4, "brev": 2, "popc": 2, "clz": 2, "bfind": 2, "bfe": 4, "bfi": 5,
    "copysign": 3, "sqrt": 2, "rsqrt": 2, "rcp": 2, "ex2": 2, "lg2": 2, "sin": 2, "cos": 2, "tanh": 2, "fma": 4,
}  # fmt: skip
NAMES = {"and": "and_", "or": "or_", "xor": "xor_", "not": "not_", "div": "div_", "abs": "abs_"}
OF_HALVES = {"add": "__hadd", "sub": "__hsub", "mul": "__hmul", "fma": "__hfma", "min": "__hmin", "max": "__hmax",
             "neg": "__hneg", "abs": "__habs"}  # fmt: skip
DIRECTED = {"add": "add", "sub": "sub", "mul": "mul", "fma": "fma", "div": "div", "rcp": "rcp", "sqrt": "sqrt"}
SPECIAL = (
    r"(?:tid|ntid|ctaid|nctaid|clusterid|nclusterid|cluster_ctaid|cluster_nctaid)\.[xyz]|laneid|warpid|nwarpid|smid|"
    r"nsmid|gridid|lanemask_(?:eq|lt|le|gt|ge)|clock|clock_hi|clock64|globaltimer|globaltimer_lo|globaltimer_hi|"
    r"cluster_ctarank|cluster_nctarank|dynamic_smem_size|total_smem_size|is_explicit_cluster"
)
NUMBER = re.compile(
    r"-?(?:0[xX][0-9a-fA-F]+|0[fF][0-9a-fA-F]{8}|0[dD][0-9a-fA-F]{16}|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)U?"
)
STATEMENT = re.compile(r"[\s;]*(?:(?P<open>\{)|(?P<close>\})|(?P<label>[\w$%]+)\s*:(?!:)|(?P<words>[^;]+))")
NOTHING = (  # hints, and what has no meaning here
    "prefetch", "prefetchu", "discard", "applypriority", "griddepcontrol", "setmaxnreg", "pmevent", ".pragma", ".loc",
)  # fmt: skip
SPACES = {"global": "GLOBAL", "shared": "SHARED", "shared::cta": "SHARED", "shared::cluster": "CLUSTER",
          "local": "GENERIC", "const": "GENERIC"}  # fmt: skip


class Refused(Exception):
    """What is not emulated, in words that go before `NOT_EMULATED`."""


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
        C++ that is to stand before all else, and the calls. Operand ``%0`` is there as ``ptx_0``.
    """
    return _Translation(text, kinds).done()


class _Translation:
    def __init__(self, text: str, kinds: Sequence[str]) -> None:
        self.text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL).replace("%%", "%").replace("%=", "")
        self.kinds, self.labels = kinds, set[str]()
        self.scopes: list[dict[str, str]] = [{}]  # names of registers in C++
        self.declared, self.calls, self.count = "", "", 0
        self.carry = ""  # how the carry bit begins, once something has used it

    def done(self) -> tuple[str, str]:
        for predicate, negated, words in self._statements():
            call = self._instruction(words)
            if predicate:
                condition = self._register(predicate)
                call = f"if ({'!' if negated else ''}{condition}) {{ {call} }}"
            self.calls += f"{call} "
        if len(self.scopes) != 1:
            raise Refused("an asm statement with a brace that is not closed")
        labels = "".join(f"__label__ {name}; " for name in sorted(self.labels))
        if self.carry:
            self.declared += f"bool ptx_carry = {self.carry}; "
            self.calls += "emulated_ptx::keep_carry(ptx_carry); "
        return labels + self.declared, self.calls

    def _statements(self) -> Iterator[tuple[str, bool, str]]:
        """Yield instructions with their predicates; see to scopes, labels and registers on the way."""
        at = 0
        while match := STATEMENT.match(self.text, at):
            at = match.end()
            if match["open"]:
                self.scopes.append({})
            elif match["close"]:
                if len(self.scopes) == 1:
                    raise Refused("an asm statement with a brace too many")
                del self.scopes[-1]
            elif match["label"]:
                self.calls += f"{self.label(match['label'])}:; "
            elif words := " ".join((match["words"] or "").split()):
                if words.startswith(".reg"):
                    self.declare(words)
                    continue
                guard = re.match(r"@(!?)\s*([%\w$]+)\s+", words)
                yield (guard[2] if guard else "", bool(guard and guard[1]), words[guard.end() :] if guard else words)

    def declare(self, words: str) -> None:
        match = re.fullmatch(r"\.reg\s+(?:\.v[24]\s+)?\.(\w+)\s+(.*)", words, re.DOTALL)
        if match is None or match[1] not in C or ".v" in words:
            raise Refused(f"the PTX directive {words[:40]}")
        kind = C[match[1]]
        kind = {"__half": "unsigned short", "__nv_bfloat16": "unsigned short"}.get(kind, kind)
        kind = "unsigned" if kind in ("__half2", "__nv_bfloat162") else kind
        for name in re.split(r"\s*,\s*", match[2].strip()):
            several = re.fullmatch(r"(%?[\w$]+)<(\d+)>", name)
            for one in [f"{several[1]}{i}" for i in range(int(several[2]))] if several else [name]:
                self.count += 1
                own = f"ptx_{re.sub(r'[^0-9a-zA-Z]', '_', one)}_{self.count}"
                self.scopes[-1][one.lstrip("%")] = own
                self.declared += f"{kind} {own} = emulated_ptx::unknown<{kind}>(); "

    def label(self, name: str) -> str:
        name = f"ptx_at_{re.sub(r'[^0-9a-zA-Z]', '_', name)}"
        self.labels.add(name)
        return name

    # Operands.

    def _register(self, text: str) -> str:
        name = text.strip().lstrip("%")
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if text.strip().startswith("%") and name.isdigit() and int(name) < len(self.kinds):
            return f"ptx_{name}"
        raise Refused(f"the name {text.strip()[:40]} in PTX")

    def read(self, text: str, kind: str) -> str:
        """Return an operand as C++ of a type."""
        text = text.strip()
        if kind == "pred":
            if text.startswith("!"):
                return f"!{self._register(text[1:])}"
            return {"0": "false", "1": "true"}.get(text) or f"({self._register(text)} != 0)"
        if text.startswith("{"):
            parts = ", ".join(
                self.read(part, f"b{_bits(kind) // len(_split(text[1:-1]))}") for part in _split(text[1:-1])
            )
            return f"emulated_ptx::in<{C[kind]}>(emulated_ptx::packed({parts}))"
        if NUMBER.fullmatch(text):
            return self._number(text, kind)
        if text == "WARP_SZ":
            return f"({C[kind]})(32)"
        if re.fullmatch(rf"%(?:{SPECIAL})", text) and text[1:] not in {n for s in self.scopes for n in s}:
            return f"emulated_ptx::in<{C[kind]}>(emulated_ptx::{text[1:].replace('.', '_')}())"
        return f"emulated_ptx::in<{C[kind]}>({self._register(text)})"

    def _number(self, text: str, kind: str) -> str:
        text = text.removesuffix("U")
        if text[:2].lower() == "0f" or text[:2].lower() == "0d":
            return f"emulated_ptx::in<{C[kind]}>(0x{text[2:]}{'u' if text[1] in 'fF' else 'ull'})"
        if kind in ("f32", "f64"):
            return f"({C[kind]})({text if '.' in text or 'e' in text.lower() else text + '.0'})"
        if kind in HALVES:
            return f"emulated_ptx::in<{C[kind]}>({text}ull)"
        return f"({C[kind]})({text}{'' if text.startswith('-') else 'ull'})"

    def write(self, text: str, value: str) -> str:
        """Return the assignment of C++'s value to an operand."""
        text = text.strip()
        if text == "_":
            return f"(void)({value});"
        if text.startswith("{"):
            parts = _split(text[1:-1])
            places = "".join(
                f" emulated_ptx::put({self._register(part)}, ptx_v.template part<{len(parts)}>({i}));"
                for i, part in enumerate(parts) if part.strip() != "_"
            )  # fmt: skip
            return f"{{ const auto ptx_v = emulated_ptx::whole({value});{places} }}"
        return f"emulated_ptx::put({self._register(text)}, {value});"

    def address(self, text: str, space: str) -> str:
        match = re.fullmatch(r"\[\s*([%\w$]+)\s*(?:\+\s*(-?[%\w]+)|(-\s*\w+))?\s*\]", text.strip())
        if match is None:
            raise Refused(f"the address {text.strip()[:40]} in PTX")
        by = match[2] or (match[3] or "0").replace(" ", "")
        by = by if re.fullmatch(r"-?\w+", by) else f"(long long){self._register(by)}"
        return f"emulated_ptx::at<emulated_ptx::{space}>({self._register(match[1])}, {by})"

    # Instructions.

    def _instruction(self, words: str) -> str:
        match = re.match(r"[\w.:]+", words)
        name = match[0] if match else words.split()[0]
        operation, *more = _parts(name)
        operands = _split(words[len(name) :])
        if operation in NOTHING or (operation == "cp" and more[2:3] == ["prefetch"]):
            return ""
        make: Callable[[list[str], list[str], str], str] | None = getattr(self, f"_{operation}", None)
        unknown = Refused(f"the PTX instruction {name}")
        try:
            if make is not None:
                return make(more, operands, operation)
            if operation in COUNTS and len(operands) == COUNTS[operation]:
                return self._simple(more, operands, operation)
        except (IndexError, KeyError, ValueError):
            raise unknown from None
        raise unknown

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
            value = f"emulated_ptx::saturated<{C[kind]}>({value if kind[0] == 'f' else self._wide(operation, operands, kind)})"
        return self.write(operands[0], value)

    def _wide(self, operation: str, operands: list[str], kind: str) -> str:
        sign = {"add": "+", "sub": "-"}[operation]
        x, y = (f"(long long)({self.read(o, kind)})" for o in operands[1:])
        return f"{x} {sign} {y}"

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

    def _mul(self, more: list[str], operands: list[str], _: str) -> str:
        kind = more[-1]
        x, y = operands[1:]
        if kind in HALVES or kind in ("f32", "f64"):
            return self._simple(more, operands, "mul")
        part = more[0]
        return self.write(
            operands[0], f"emulated_ptx::mul_{part}<{C[kind]}>({self.read(x, kind)}, {self.read(y, kind)})"
        )

    def _mad(self, more: list[str], operands: list[str], operation: str) -> str:
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

    _madc = _mad

    def _mul24(self, more: list[str], operands: list[str], _: str) -> str:
        part, kind = more
        value = f"emulated_ptx::mul24_{part}<{C[kind]}>({self.read(operands[1], kind)}, {self.read(operands[2], kind)})"
        return self.write(operands[0], value)

    def _mad24(self, more: list[str], operands: list[str], _: str) -> str:
        part, kind = more
        value = f"emulated_ptx::mul24_{part}<{C[kind]}>({self.read(operands[1], kind)}, {self.read(operands[2], kind)})"
        return self.write(operands[0], f"emulated_ptx::add<{C[kind]}>({value}, {self.read(operands[3], kind)})")

    def _add_with_carry(self, more: list[str], operands: list[str], operation: str) -> str:
        kind = more[-1]
        takes, gives = operation in ("addc", "subc"), "cc" in more
        function = "sub_borrow" if operation.startswith("sub") else "add_carry"
        x, y = self.read(operands[1], kind), self.read(operands[2], kind)
        return self._carried(operands[0], function, kind, x, y, takes, gives)

    _addc = _subc = _add_with_carry

    def _carried(self, d: str, function: str, kind: str, x: str, y: str, takes: bool, gives: bool) -> str:
        self.carry = self.carry or ("emulated_ptx::kept_carry()" if takes else "false")
        kind = {"s32": "u32", "s64": "u64"}.get(kind, kind)
        value = f"emulated_ptx::{function}<{C[kind]}>({x}, {y}, {'ptx_carry' if takes else 'false'}, "
        return self.write(d, value + f"{'&ptx_carry' if gives else 'nullptr'})")

    def _mov(self, more: list[str], operands: list[str], _: str) -> str:
        d, a = operands
        kind = more[-1]
        if kind == "pred":
            return f"{self._register(d)} = {self.read(a, 'pred')};"
        return self.write(d, self.read(a, kind))

    def _cvta(self, more: list[str], operands: list[str], _: str) -> str:
        to, space = more[0] == "to", more[-2]
        function = f"cvta_{'to_' if to else 'from_'}{'shared' if space.startswith('shared') else 'global'}"
        return self.write(operands[0], f"emulated_ptx::{function}({self.read(operands[1], 'u64')})")

    def _isspacep(self, more: list[str], operands: list[str], _: str) -> str:
        spaces = {
            "shared": "shared",
            "shared::cta": "shared",
            "global": "global",
            "local": "local",
            "const": "constant",
        }
        return f"{self._register(operands[0])} = emulated_ptx::is_{spaces[more[-1]]}({self.read(operands[1], 'u64')});"

    def _cvt(self, more: list[str], operands: list[str], _: str) -> str:
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
            value = (
                f"double({value})"
                if exact
                else f"__{name}2{'float' if to == 'f32' else 'double'}_{mode or 'rn'}({value})"
            )
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

    def _setp(self, more: list[str], operands: list[str], _: str) -> str:
        kind, comparison = more[-1], more[0]
        x, y = self.read(operands[1], kind), self.read(operands[2], kind)
        value = f"emulated_ptx::compare_{comparison}({x}, {y})"
        p, _, q = operands[0].partition("|")
        combine = next((m for m in more[1:-1] if m in ("and", "or", "xor")), "")
        both = {"and": "{} && {}", "or": "{} || {}", "xor": "{} != {}", "": "{}"}[combine]
        third = self.read(operands[3], "pred") if combine else ""
        call = "" if p.strip() == "_" else f"{self._register(p)} = {both.format('ptx_c', third)};"
        if q.strip() and q.strip() != "_":
            call += f" {self._register(q)} = {both.format('!ptx_c', third)};"
        return f"{{ const bool ptx_c = {value}; {call} }}"

    def _set(self, more: list[str], operands: list[str], _: str) -> str:
        to, kind = more[-2:]
        x, y = self.read(operands[1], kind), self.read(operands[2], kind)
        true, false = ("1.0f", "0.0f") if to == "f32" else ("~0u", "0u")
        return self.write(operands[0], f"emulated_ptx::compare_{more[0]}({x}, {y}) ? {true} : {false}")

    def _selp(self, more: list[str], operands: list[str], _: str) -> str:
        d, x, y, p = operands
        value = f"{self.read(p, 'pred')} ? {self.read(x, more[-1])} : {self.read(y, more[-1])}"
        return self.write(d, value)

    def _slct(self, more: list[str], operands: list[str], _: str) -> str:
        d, x, y, c = operands
        value = f"{self.read(c, more[-1])} >= 0 ? {self.read(x, more[-2])} : {self.read(y, more[-2])}"
        return self.write(d, value)

    def _logic(self, more: list[str], operands: list[str], operation: str) -> str:
        if more[-1] != "pred":
            return self._simple(more, operands, operation)
        values = [self.read(o, "pred") for o in operands[1:]]
        signs = {"and": "{} & {}", "or": "{} | {}", "xor": "{} ^ {}", "not": "!{}"}
        return f"{self._register(operands[0])} = {signs[operation].format(*values)};"

    _and = _or = _xor = _not = _logic

    def _prmt(self, more: list[str], operands: list[str], _: str) -> str:
        mode = f"_{more[1]}" if len(more) > 1 else (f"_{more[0]}" if more[0] != "b32" else "")
        values = ", ".join(self.read(o, "u32") for o in operands[1:])
        return self.write(operands[0], f"__byte_perm({values})" if not mode else f"emulated_ptx::prmt{mode}({values})")

    def _lop3(self, more: list[str], operands: list[str], _: str) -> str:
        if more != ["b32"]:
            raise KeyError
        values = ", ".join(self.read(o, "u32") for o in operands[1:])
        return self.write(operands[0], f"emulated_ptx::lop3({values})")

    def _shf(self, more: list[str], operands: list[str], _: str) -> str:
        direction, mode, _ = more
        values = ", ".join(self.read(o, "u32") for o in operands[1:])
        return self.write(operands[0], f"__funnelshift_{direction}{'c' if mode == 'clamp' else ''}({values})")

    def _testp(self, more: list[str], operands: list[str], _: str) -> str:
        return f"{self._register(operands[0])} = emulated_ptx::testp_{more[0]}({self.read(operands[1], more[1])});"

    def _dp4a(self, more: list[str], operands: list[str], operation: str) -> str:
        *_, of_x, of_y = more
        sum_kind = "s32" if "s32" in (of_x, of_y) else "u32"
        part = f"_{more[0]}" if operation == "dp2a" else ""
        d, x, y, z = operands
        values = f"{self.read(x, of_x)}, {self.read(y, of_y)}, {self.read(z, sum_kind)}"
        return self.write(d, f"emulated_ptx::{operation}{part}({values})")

    _dp2a = _dp4a

    # Memory.

    def _how(self, more: list[str]) -> tuple[str, int, str]:
        """Return a state space, how many values, and of what type."""
        known = {*SPACES, "v2", "v4", "v8", "nc", "weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "cta",
                 "gpu", "sys", "cluster", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "unified", "noftz"}  # fmt: skip
        hints = re.compile(r"L[12]::\w+")
        *rest, kind = more
        if any(m not in known and not hints.fullmatch(m) for m in rest) or kind not in C:
            raise KeyError
        space = next((SPACES[m] for m in rest if m in SPACES), "GENERIC")
        return space, next((int(m[1:]) for m in rest if m in ("v2", "v4", "v8")), 1), kind

    def _order(self, more: list[str]) -> str:
        """Return how an access is seen by others, as ptx.h has it."""
        orders = [m.upper() for m in more if m in ("volatile", "relaxed", "acquire", "release", "acq_rel")]
        return "emulated_ptx::" + (orders[0] if orders else "WEAK") + (", true" if "cta" in more else ", false")

    def _ld(self, more: list[str], operands: list[str], _: str) -> str:
        space, count, kind = self._how(more)
        kind = {"f16": "b16", "bf16": "b16", "f16x2": "b32", "bf16x2": "b32"}.get(kind, kind)
        place = self.address(operands[1], space)
        if any(m in more for m in ("volatile", "relaxed", "acquire")):
            if count > 1:
                raise KeyError
            return self.write(operands[0], f"emulated_ptx::ld_strong<{C[kind]}>({place}, {self._order(more)})")
        names = _split(operands[0].strip()[1:-1]) if count > 1 else [operands[0]]
        if len(names) != count:
            raise ValueError
        if count == 1:
            return self.write(operands[0], f"emulated_ptx::ld<{C[kind]}, 1>({place}).x[0]")
        parts = "".join(f" {self.write(name, f'ptx_v.x[{i}]')}" for i, name in enumerate(names))
        return f"{{ const auto ptx_v = emulated_ptx::ld<{C[kind]}, {count}>({place});{parts} }}"

    _ldu = _ld

    def _st(self, more: list[str], operands: list[str], _: str) -> str:
        space, count, kind = self._how(more)
        kind = {"f16": "b16", "bf16": "b16", "f16x2": "b32", "bf16x2": "b32"}.get(kind, kind)
        place = self.address(operands[0], space)
        names = _split(operands[1].strip()[1:-1]) if count > 1 else [operands[1]]
        if len(names) != count:
            raise ValueError
        values = ", ".join(self.read(name, kind) for name in names)
        if any(m in more for m in ("volatile", "relaxed", "release")):
            if count > 1:
                raise KeyError
            return f"emulated_ptx::st_strong<{C[kind]}>({place}, {values}, {self._order(more)});"
        return f"emulated_ptx::st<{C[kind]}, {count}>({place}, {{{{{values}}}}});"

    def _atom(self, more: list[str], operands: list[str], operation: str) -> str:
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

    _red = _atom

    def _cp(self, more: list[str], operands: list[str], _: str) -> str:
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

    # Barriers, and operations of a warp.

    def _bar(self, more: list[str], operands: list[str], _: str) -> str:
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
            return f"{self._register(operands[0])} = {call} != 0;"
        number = self.read(operands[0], "u32")
        count = self.read(operands[1], "u32") if len(operands) > 1 else "0"
        if more[0] == "sync":
            return f"emulated_ptx::bar_sync({number}, {count});"
        if more[0] == "arrive" and len(operands) > 1:
            return f"emulated_ptx::bar_arrive({number}, {count});"
        raise KeyError

    _barrier = _bar

    def _membar(self, more: list[str], operands: list[str], _: str) -> str:
        if "proxy" in more:
            return ""
        return "__threadfence_block();" if more[-1] == "cta" or (more[0] == "mbarrier_init") else "__threadfence();"

    _fence = _membar

    def _nanosleep(self, more: list[str], operands: list[str], _: str) -> str:
        return f"__nanosleep({self.read(operands[0], 'u32')});"

    def _trap(self, more: list[str], operands: list[str], _: str) -> str:
        return "__trap();"

    def _bra(self, more: list[str], operands: list[str], _: str) -> str:
        return f"goto {self.label(operands[0].strip())};"

    def _activemask(self, more: list[str], operands: list[str], _: str) -> str:
        return self.write(operands[0], "__activemask()")

    def _shfl(self, more: list[str], operands: list[str], _: str) -> str:
        _, mode, _ = more
        d, a, b, c, mask = operands
        d, _, p = d.partition("|")
        values = ", ".join(self.read(o, "u32") for o in (a, b, c, mask))
        valid = f" {self._register(p)} = ptx_in;" if p.strip() and p.strip() != "_" else ""
        call = self.write(d, f"emulated_ptx::shfl_{mode}({values}, ptx_in)")
        return f"{{ bool ptx_in; {call}{valid} }}"

    def _vote(self, more: list[str], operands: list[str], _: str) -> str:
        function = {"all": "__all_sync", "any": "__any_sync", "uni": "__uni_sync", "ballot": "__ballot_sync"}[more[1]]
        call = f"{function}({self.read(operands[2], 'u32')}, {self.read(operands[1], 'pred')})"
        if more[1] == "ballot":
            return self.write(operands[0], call)
        return f"{self._register(operands[0])} = {call} != 0;"

    def _match(self, more: list[str], operands: list[str], _: str) -> str:
        d, a, mask = operands
        kind = more[-1]
        if more[0] == "any":
            return self.write(d, f"__match_any_sync({self.read(mask, 'u32')}, {self.read(a, kind)})")
        d, _, p = d.partition("|")
        valid = f" {self._register(p)} = ptx_all != 0;" if p.strip() else ""
        call = f"__match_all_sync({self.read(mask, 'u32')}, {self.read(a, kind)}, &ptx_all)"
        return f"{{ int ptx_all; {self.write(d, call)}{valid} }}"

    def _redux(self, more: list[str], operands: list[str], _: str) -> str:
        _, what, kind = more
        d, a, mask = operands
        kind = "u32" if kind == "b32" else kind
        return self.write(d, f"__reduce_{what}_sync({self.read(mask, 'u32')}, {self.read(a, kind)})")

    def _elect(self, more: list[str], operands: list[str], _: str) -> str:
        d, _, p = operands[0].partition("|")
        call = f"emulated_ptx::elect({self.read(operands[1], 'u32')}, ptx_first)"
        return f"{{ unsigned ptx_first; {self._register(p)} = {call}; {self.write(d, 'ptx_first')} }}"

    def _mbarrier(self, more: list[str], operands: list[str], _: str) -> str:
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
            p, a, phase, *_ = operands
            parity = "parity" in rest
            call = f"emulated_ptx::mbarrier_{'parity' if parity else 'test'}({self.address(a, 'SHARED')}, "
            return f"{self._register(p)} = {call}{self.read(phase, 'u32' if parity else 'u64')});"
        raise KeyError

    # Cache policies, which are hints.

    def _createpolicy(self, more: list[str], operands: list[str], _: str) -> str:
        return self.write(operands[0], "0ull")

    # Matrices.

    def _ldmatrix(self, more: list[str], operands: list[str], _: str) -> str:
        if "m8n8" not in more or more[-1] != "b16":
            raise KeyError
        count = next(int(m[1:]) for m in more if m in ("x1", "x2", "x4"))
        names = _split(operands[0].strip().strip("{}"))
        if len(names) != count:
            raise ValueError
        parts = "".join(f" {self.write(name, f'ptx_v.x[{i}]')}" for i, name in enumerate(names))
        place = self.address(operands[1], "SHARED")
        return (
            f"{{ const auto ptx_v = emulated_ptx::ldmatrix<{count}, {str('trans' in more).lower()}>({place});{parts} }}"
        )

    def _stmatrix(self, more: list[str], operands: list[str], _: str) -> str:
        if "m8n8" not in more or more[-1] != "b16":
            raise KeyError
        count = next(int(m[1:]) for m in more if m in ("x1", "x2", "x4"))
        values = ", ".join(self.read(name, "u32") for name in _split(operands[1].strip().strip("{}")))
        place = self.address(operands[0], "SHARED")
        return f"emulated_ptx::stmatrix<{count}, {str('trans' in more).lower()}>({place}, {{{{{values}}}}});"

    def _movmatrix(self, more: list[str], operands: list[str], _: str) -> str:
        return self.write(operands[0], f"emulated_ptx::movmatrix({self.read(operands[1], 'u32')})")

    def _mma(self, more: list[str], operands: list[str], _: str) -> str:
        known = {"sync", "aligned", "row", "col", "satfinite"}
        shape, *types = [m for m in more if m not in known]
        to, of_a, of_b, of_c = types
        m, n, k = map(int, re.fullmatch(r"m(\d+)n(\d+)k(\d+)", shape).groups())  # type: ignore[union-attr]
        factors = {"f16": "F16", "bf16": "BF16", "tf32": "TF32", "s8": "S8", "u8": "U8", "f64": "F64"}
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
        a, b, c = (_split(o.strip().strip("{}")) for o in operands[1:])
        d = _split(operands[0].strip().strip("{}"))
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


def _parts(name: str) -> list[str]:
    """Split an instruction's name at its dots."""
    return [name] if name.startswith(".") else name.split(".")


def _split(text: str) -> list[str]:
    """Split operands at the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "{[(") - (letter in "}])")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts] if text.strip() else []


def _bits(kind: str) -> int:
    return 32 if kind in ("f16x2", "bf16x2") else int(re.sub(r"\D", "", kind))
