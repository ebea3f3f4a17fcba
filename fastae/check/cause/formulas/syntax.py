"""Changes of an expression's syntax tree."""

import ast
from typing import Any


class Replaced(ast.NodeTransformer):
    """Replaces one node of a syntax tree by another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> Any:
        """Return the new node in place of the old one, and any other node with its children visited."""
        return self._new if node is self._old else self.generic_visit(node)
