"""The text of inline PTX: its statements, names and operands, as C++. (NVIDIA, PTX ISA 8.)"""

import re
from collections.abc import Iterator, Sequence

NOT_EMULATED = "is not emulated"
C = {  # PTX's types in C++
    "b8": "unsigned char", "u8": "unsigned char", "s8": "signed char", "b16": "unsigned short",
    "u16": "unsigned short", "s16": "short", "b32": "unsigned", "u32": "unsigned", "s32": "int",
    "b64": "unsigned long long", "u64": "unsigned long long", "s64": "long long", "f32": "float", "f64": "double",
    "pred": "bool", "f16": "__half", "f16x2": "__half2", "bf16": "__nv_bfloat16", "bf16x2": "__nv_bfloat162",
}  # fmt: skip
HALVES = ("f16", "f16x2", "bf16", "bf16x2")
SPECIAL = (
    r"(?:tid|ntid|ctaid|nctaid|clusterid|nclusterid|cluster_ctaid|cluster_nctaid)\.[xyz]|laneid|warpid|nwarpid|smid|"
    r"nsmid|gridid|lanemask_(?:eq|lt|le|gt|ge)|clock|clock_hi|clock64|globaltimer|globaltimer_lo|globaltimer_hi|"
    r"cluster_ctarank|cluster_nctarank|dynamic_smem_size|total_smem_size|is_explicit_cluster"
)
NUMBER = re.compile(
    r"-?(?:0[xX][0-9a-fA-F]+|0[fF][0-9a-fA-F]{8}|0[dD][0-9a-fA-F]{16}|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)U?"
)
STATEMENT = re.compile(r"[\s;]*(?:(?P<open>\{)|(?P<close>\})|(?P<label>[\w$%]+)\s*:(?!:)|(?P<words>[^;]+))")


class Refused(Exception):
    """PTX that is not emulated; the message comes before `NOT_EMULATED`."""


class Text:
    """The text of an asm statement while it is translated.

    Parameters
    ----------
    text : str
    kinds : sequence of str
        Of its operands: ``"u32"`` and so on; ``"number"`` of a constant.
    """

    def __init__(self, text: str, kinds: Sequence[str]) -> None:
        self.text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL).replace("%%", "%").replace("%=", "")
        self.kinds, self.labels = kinds, set[str]()
        self.scopes: list[dict[str, str]] = [{}]  # names of registers in C++
        self.declared, self.calls, self.count = "", "", 0
        self.carry = ""  # the carry bit's first value in C++, where an instruction uses it

    def statements(self) -> Iterator[tuple[str, bool, str]]:
        """Yield instructions with their predicate and whether it is negated; note scopes, labels and registers."""
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
        """Declare the registers of a ``.reg`` directive."""
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
        """Return a label's name in C++."""
        name = f"ptx_at_{re.sub(r'[^0-9a-zA-Z]', '_', name)}"
        self.labels.add(name)
        return name

    # Operands.

    def register(self, text: str) -> str:
        """Return the variable that stands for a register or an operand; raises `Refused`."""
        name = text.strip().lstrip("%")
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if text.strip().startswith("%") and name.isdigit() and int(name) < len(self.kinds):
            return f"ptx_{name}"
        raise Refused(f"the name {text.strip()[:40]} in PTX")

    def read(self, text: str, kind: str) -> str:
        """Return C++ that reads an operand as a type of PTX."""
        text = text.strip()
        if kind == "pred":
            if text.startswith("!"):
                return f"!{self.register(text[1:])}"
            return {"0": "false", "1": "true"}.get(text) or f"({self.register(text)} != 0)"
        if text.startswith("{"):
            parts = ", ".join(
                self.read(part, f"b{bits_of(kind) // len(split(text[1:-1]))}") for part in split(text[1:-1])
            )
            return f"emulated_ptx::in<{C[kind]}>(emulated_ptx::packed({parts}))"
        if NUMBER.fullmatch(text):
            return self._number(text, kind)
        if text == "WARP_SZ":
            return f"({C[kind]})(32)"
        if re.fullmatch(rf"%(?:{SPECIAL})", text) and text[1:] not in {n for s in self.scopes for n in s}:
            return f"emulated_ptx::in<{C[kind]}>(emulated_ptx::{text[1:].replace('.', '_')}())"
        return f"emulated_ptx::in<{C[kind]}>({self.register(text)})"

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
        """Return C++ that assigns a value to an operand."""
        text = text.strip()
        if text == "_":
            return f"(void)({value});"
        if text.startswith("{"):
            parts = split(text[1:-1])
            places = "".join(
                f" emulated_ptx::put({self.register(part)}, ptx_v.template part<{len(parts)}>({i}));"
                for i, part in enumerate(parts) if part.strip() != "_"
            )  # fmt: skip
            return f"{{ const auto ptx_v = emulated_ptx::whole({value});{places} }}"
        return f"emulated_ptx::put({self.register(text)}, {value});"

    def address(self, text: str, space: str) -> str:
        """Return an address in brackets as C++: a `Place` of ``language/ptx/memory.h``."""
        match = re.fullmatch(r"\[\s*([%\w$]+)\s*(?:\+\s*(-?[%\w]+)|(-\s*\w+))?\s*\]", text.strip())
        if match is None:
            raise Refused(f"the address {text.strip()[:40]} in PTX")
        by = match[2] or (match[3] or "0").replace(" ", "")
        by = by if re.fullmatch(r"-?\w+", by) else f"(long long){self.register(by)}"
        return f"emulated_ptx::at<emulated_ptx::{space}>({self.register(match[1])}, {by})"


def split(text: str) -> list[str]:
    """Split operands at the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "{[(") - (letter in "}])")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts] if text.strip() else []


def bits_of(kind: str) -> int:
    """Return the number of bits of a type."""
    return 32 if kind in ("f16x2", "bf16x2") else int(re.sub(r"\D", "", kind))
