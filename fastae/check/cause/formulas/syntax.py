"""Changes of an expression's syntax tree."""

import ast
from typing import Any


class Replaced(ast.NodeTransformer):
    """Puts one node in another's place."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> Any:
        """Go down to the node."""
        return self._new if node is self._old else self.generic_visit(node)
