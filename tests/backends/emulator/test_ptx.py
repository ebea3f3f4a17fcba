"""Inline PTX on the emulator: its text is translated line by line, or refused by name and line."""

import re
from pathlib import Path

import numpy as np
import pytest
from cuda_kernels import run
from ptx_programs import ARITHMETIC, CARRIES, COPIES, MATRICES, MBARRIER, NAMED, SPECIAL, VECTORS, WARP

from fastae import cli
from fastae.backends.emulator import checking, ptx
from fastae.backends.emulator.refusals import not_emulated
from fastae.backends.emulator.source import CompileError
from fastae.check.sandbox import cuda_policy

# Text: names, braces, predicates, labels, macros.

COLLATZ = r"""#define STEPS(to, from)                       \
  asm volatile(                                     \
      "{\n\t"                                       \
      ".reg .pred p, odd;\n\t"                      \
      ".reg .u32 n, r<2>;\n\t"                      \
      "mov.u32 n, %1;\n\t"                          \
      "mov.u32 %0, 0;\n\t"                          \
      "AGAIN:\n\t"                                  \
      "setp.le.u32 p, n, 1;\n\t"                    \
      "@p bra DONE;\n\t"                            \
      "and.b32 r0, n, 1;\n\t"                       \
      "setp.ne.u32 odd, r0, 0;\n\t"                 \
      "@odd mad.lo.u32 n, n, 3, 1;\n\t"             \
      "@!odd shr.u32 n, n, 1; /* a half */\n\t"     \
      "add.u32 %0, %0, 1;\n\t"                      \
      "bra AGAIN;\n\t"                              \
      "DONE:\n\t"                                   \
      "}"                                           \
      : "=&r"(to) : "r"(from) : "memory")
__global__ void f(unsigned* out, int where) {
  if (where) STEPS(out[0], 27u); else STEPS(out[0], 6u);
  unsigned n;
  STEPS(n, 7u);
  out[1] = n;
  out[NO_SUCH] = 1;
}"""


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "several instructions, `.reg`, braces, predicates, labels and branches; in macros too"
)
def test_a_text_of_many_lines_in_a_macro_keeps_lines_and_names(compiler: str) -> None:
    right = COLLATZ.replace("NO_SUCH", "1 - 1 + 1").replace("= 1;\n}", "= n;\n}")
    (out,) = run(right, 1, 1, np.zeros(2, "u4"), np.int32(1))
    assert out.tolist() == [111, 16]
    line = [i for i, row in enumerate(COLLATZ.splitlines(), 1) if "NO_SUCH" in row]
    with pytest.raises(CompileError, match=rf"mine.cu:{line[0]}:"):
        run(COLLATZ, 1, 1, np.zeros(2, "u4"), np.int32(1))


@pytest.mark.thorough
def test_what_an_instruction_skips_does_not_change_its_result() -> None:
    code = """__global__ void f(const float* x, float* y, int n) {
  float v = -1.0f;
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %2, 0; @p ld.global.nc.f32 %0, [%1]; }"
               : "+f"(v) : "l"(x + n), "r"((int)(n < 4)));
  y[n] = v;
}"""
    with checking():
        for n, expected in ((3, 4.0), (4, -1.0)):  # x[4] is not there
            _, y = run(code, 1, 1, np.array([1, 2, 3, 4], "f4"), np.zeros(5, "f4"), np.int32(n))
            assert y[n] == expected


def test_translated_text_has_no_assembly_and_as_many_lines() -> None:
    code = COLLATZ + SPECIAL + CARRIES
    found = ptx.translated(code)
    assert "asm" not in found
    assert found.count("\n") == code.count("\n")
    assert ptx.translated(found) == found
    quiet = 'const char* s = "asm volatile(\\"x\\");"; // asm("y")\n/* asm("z"); */ int plasma(int);'
    assert ptx.translated(quiet) == quiet


# What is not emulated, and what a learner's file may have.

REFUSED = {
    'asm volatile("wgmma.fence.sync.aligned;");': "the PTX instruction wgmma.fence.sync.aligned",
    'asm("{ .reg .b32 r; tcgen05.ld.sync r, [%0]; }" :: "r"(1));': "the PTX instruction tcgen05.ld.sync",
    'asm("cp.async.bulk.commit_group;");': "the PTX instruction cp.async.bulk.commit_group",
    'asm("ld.param.u32 %0, [%1];" : "=r"(x) : "r"(1));': "the PTX instruction ld.param.u32",
    'asm("mov.u32 %0, %envreg3;" : "=r"(x));': "the name %envreg3 in PTX",
    'asm(".shared .b32 s;");': "the PTX instruction .shared",
    'asm("mov.u32 %0, 1;" : "=m"(x));': "the operand '=m'(x) of an asm statement",
    'asm(TEXT : "=r"(x));': "an asm statement whose text is not written out (TEXT)",
}


@pytest.mark.feature("inline PTX", "what is not known is refused by the instruction's name and its line")
def test_what_is_not_known_is_refused_by_name_and_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for line, what in REFUSED.items():
        code = f"__global__ void f(unsigned* out) {{\n  unsigned x = 0;\n\n  {line}\n  out[0] = x;\n}}"
        assert not_emulated(code, "mine.cu") == f"mine.cu, line 4: {what} is not emulated"
        assert cuda_policy.of_cuda(code) == [f"line 4: {what} is not emulated"]
    with pytest.raises(CompileError) as caught:
        run(code, 1, 1, np.zeros(1, "u4"))
    assert str(caught.value) == f"mine.cu, line 4: {what} is not emulated"
    program = tmp_path / "p.cu"
    program.write_text(
        f"__global__ void f() {{\n  {next(iter(REFUSED))}\n}}\nint main() {{ f<<<1, 1>>>(); }}\n", encoding="utf-8"
    )
    assert cli.main(["run", str(program)]) == 2
    assert "p.cu, line 2: the PTX instruction wgmma.fence.sync.aligned is not emulated" in capfd.readouterr().err


def test_text_of_any_kind_is_translated_or_refused() -> None:
    random = np.random.default_rng(3)
    texts = [*(text for text, *_ in ARITHMETIC), COLLATZ, VECTORS, COPIES, NAMED, WARP, MATRICES, MBARRIER]
    words = re.findall(r"[%@\w.:]+|[^\s\w]", " ".join(texts).replace('"', "").replace("\\", ""))
    for _ in range(400):
        text = " ".join(random.choice(words, 8)).replace("(", "").replace(")", "")
        found = ptx.translated(f'asm("{text};" : "=r"(x) : "r"(y));')
        assert found.startswith(("do {", "[](auto refused)")), text
    for text in (
        "wide.s32 %0, %1;",
        "instruction %0;",
        "ldmatrix.m8n8.b16 {%0}, [%1];",
        "mma.m1;",
        "{.reg .pred p; isspacep.const p, %1;}",
        "cvt.x;",
        "@p;",
        "}",
        "{",
    ):
        assert ptx.REFUSAL.search(ptx.translated(f'asm("{text}" : "=r"(x) : "r"(y));')), text


@pytest.mark.thorough
def test_operands_are_as_wide_as_their_constraints() -> None:
    for operand, told in (
        ("out", "not as wide"),
        ("1.0f", "f and d are for floating point"),
        ("(short)1", "not as wide"),
    ):
        code = f'__global__ void f(unsigned* out) {{\n  asm("mov.u32 %0, %1;" : "=r"(out[0]) : "r"({operand}));\n}}'
        with pytest.raises(CompileError, match=rf"mine.cu:2.*{told}"):
            run(code, 1, 1, np.zeros(1, "u4"))


@pytest.mark.thorough
def test_a_learners_file_may_have_ptx_and_hides_no_assembly_of_the_host(compiler: str) -> None:
    from fastae.backends.emulator import compiler as compilers

    head = "// launch f: grid (1), block (1)\n"
    right = head + '__global__ void f(float* x) { asm("add.f32 %0, %0, %1;" : "+f"(x[0]) : "f"(1.0f)); }'
    assert cuda_policy.of_cuda(right) == []
    assert cuda_policy.of_preprocessed(compilers.preprocessed(right, ()), "begin") == []
    for wrong in ('register int x asm("rax");', 'void f() __asm__("g");', 'asm goto("" : : : : there);'):
        assert cuda_policy.of_cuda(wrong), wrong
    split = '__global__ void f() { a\\\nsm("nop"); }'
    assert cuda_policy.of_preprocessed(compilers.preprocessed(split, ()), "begin")
    pasted = '#define MAKE(x, y) x##y\n__global__ void f() { MAKE(a, sm)("nop"); }'
    assert cuda_policy.of_preprocessed(compilers.preprocessed(pasted, ()), "begin")
