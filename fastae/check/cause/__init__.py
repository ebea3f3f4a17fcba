"""Why a kernel is wrong.

`diagnosis` looks for causes in this order, and names them in this order:

1. `habits`: what the text of the file says, such as a result that is returned and not written
2. `experiments`: the call again with one thing changed that must not matter, such as what the output held before
3. `launches`: elements that no thread of the launch writes
4. `explain`, with `formulas`: what a known mistake, or one edit of the kernel's formula, would write
5. `patterns`, with `amounts`, `powers` and `regions`: where no formula fits, where the errors are, how large they are,
   which factors a product has, and for which numbers it is wrong
6. `conditions`: in which calls the kernel is wrong

`precision` describes a kernel that is imprecise and not wrong: which digits it loses, and by which formula.

A new cause is most often a formula: `formulas` says where it goes.
"""
