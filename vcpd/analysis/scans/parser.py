"""Reads a scan's text into checked nodes: Python's grammar in front, a list of what is allowed behind."""

import ast
import difflib
import math
import warnings
from collections.abc import Callable
from typing import Any, Final, NoReturn

from vcpd.analysis.scans.language import (
    BAR_NAMES,
    FUNCTIONS,
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_NODES,
    MAX_WINDOW,
    VERDICT_NAMES,
    WINDOW_FREE,
    FunctionSignature,
    Node,
    ScanError,
    ValueKind,
)

_ARITHMETIC: Final[dict[type[ast.operator], str]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
}
_EXPECTED: Final = "expected names, numbers, comparisons, arithmetic, and, or, not, and functions"


def parse_scan(expression: str) -> Node:
    """The checked tree of `expression`; ScanError names the position of what is wrong and why."""
    text = " ".join(expression.splitlines()) if "\n" in expression or "\r" in expression else expression
    if not text.strip():
        raise ScanError(text, 0, "it is empty; expected a condition such as close > sma(50)")
    if len(text) > MAX_CHARACTERS:
        raise ScanError(text, MAX_CHARACTERS, f"longer than {MAX_CHARACTERS} characters")
    lead = len(text) - len(text.lstrip())
    node = _Reader(text, lead).read(_syntax_tree(text, lead), 0)
    if node.kind is not ValueKind.CONDITION:
        raise ScanError(
            text, node.start, f"this is a {node.kind}; expected a condition such as close > sma(50)"
        )
    return node


def _syntax_tree(text: str, lead: int) -> ast.expr:
    for position, character in enumerate(text):
        if character in "\\#\0{}:@" or not character.isprintable():
            raise ScanError(text, position, f"the character {character!r} has no meaning in a scan")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        position = min(lead + max((error.offset or 1) - 1, 0), len(text))
        raise ScanError(text, position, f"not an expression: {error.msg}") from None
    except (RecursionError, MemoryError, ValueError):
        raise ScanError(text, 0, "the expression is nested too deeply") from None


class _Reader:
    """Walks the syntax tree of one text; anything that is not listed here is refused."""

    def __init__(self, text: str, lead: int) -> None:
        self._text, self._lead = text, lead
        self._bytes = text[lead:].encode()
        self._count = 0

    def read(self, tree: ast.expr, depth: int) -> Node:
        self._count += 1
        if depth > MAX_DEPTH:
            self._refuse(tree, f"more than {MAX_DEPTH} nested operations")
        if self._count > MAX_NODES:
            self._refuse(tree, f"more than {MAX_NODES} parts")
        reader = _READERS.get(type(tree))
        if reader is None:
            self._refuse(tree, f"not allowed in a scan; {_EXPECTED}")
        return reader(self, tree, depth)

    def _refuse(self, tree: ast.AST, problem: str) -> NoReturn:
        raise ScanError(self._text, self._span(tree)[0], problem)

    def _span(self, tree: ast.AST) -> tuple[int, int]:
        """Characters of a part: Python counts bytes."""
        start, stop = getattr(tree, "col_offset", 0), getattr(tree, "end_col_offset", 0)
        before = len(self._bytes[:start].decode(errors="ignore"))
        return self._lead + before, self._lead + before + len(self._bytes[start:stop].decode(errors="ignore"))

    def _node(self, tree: ast.AST, operation: str, kind: ValueKind, *children: Node, window: int = 0) -> Node:
        return Node(operation, kind, *self._span(tree), children, window)

    def constant(self, tree: ast.Constant, _depth: int) -> Node:
        value = tree.value
        if isinstance(value, str):
            return Node("text", ValueKind.TEXT, *self._span(tree), value=value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(tree, "expected a number or a text in quotes")
        if (isinstance(value, int) and value.bit_length() > 60) or not math.isfinite(value):
            self._refuse(tree, "the number is too large")
        return Node("number", ValueKind.NUMBER, *self._span(tree), value=float(value))

    def name(self, tree: ast.Name, _depth: int) -> Node:
        if tree.id in BAR_NAMES:
            return self._node(tree, tree.id, ValueKind.NUMBER)
        if tree.id in VERDICT_NAMES:
            return self._node(tree, tree.id, VERDICT_NAMES[tree.id][0])
        if tree.id in FUNCTIONS:
            self._refuse(tree, f"{tree.id} is a function: write {tree.id}({FUNCTIONS[tree.id].parameters})")
        return self._refuse(
            tree, f"unknown name{_nearest(tree.id, [*BAR_NAMES, *VERDICT_NAMES, *FUNCTIONS])}"
        )

    def texts(self, tree: ast.Tuple | ast.List, _depth: int) -> Node:
        values = [item.value for item in tree.elts if isinstance(item, ast.Constant)]
        if len(values) < len(tree.elts) or not all(isinstance(value, str) for value in values):
            self._refuse(tree, 'expected texts in quotes, such as ("NEAR_PIVOT", "BREAKOUT")')
        return Node("texts", ValueKind.TEXTS, *self._span(tree), value=tuple(map(str, values)))

    def unary(self, tree: ast.UnaryOp, depth: int) -> Node:
        inner = self.read(tree.operand, depth + 1)
        if isinstance(tree.op, ast.Not):
            return self._node(tree, "not", ValueKind.CONDITION, self._typed(inner, ValueKind.CONDITION))
        if isinstance(tree.op, ast.USub):
            return self._node(tree, "negative", ValueKind.NUMBER, self._typed(inner, ValueKind.NUMBER))
        return self._refuse(tree, _EXPECTED)

    def arithmetic(self, tree: ast.BinOp, depth: int) -> Node:
        operation = _ARITHMETIC.get(type(tree.op))
        if operation is None:
            self._refuse(tree, "expected +, -, * or /")
        sides = [
            self._typed(self.read(side, depth + 1), ValueKind.NUMBER) for side in (tree.left, tree.right)
        ]
        return self._node(tree, operation, ValueKind.NUMBER, *sides)

    def logic(self, tree: ast.BoolOp, depth: int) -> Node:
        parts = [self._typed(self.read(part, depth + 1), ValueKind.CONDITION) for part in tree.values]
        operation = "and" if isinstance(tree.op, ast.And) else "or"
        return self._node(tree, operation, ValueKind.CONDITION, *parts)

    def comparison(self, tree: ast.Compare, depth: int) -> Node:
        sides = [self.read(side, depth + 1) for side in (tree.left, *tree.comparators)]
        pairs = []
        for operator, left, right in zip(tree.ops, sides, sides[1:], strict=False):
            operation = _COMPARISONS.get(type(operator))
            if operation is None:
                self._refuse(tree, "expected >, >=, <, <=, ==, != or in")
            self._check_sides(operation, left, right)
            pairs.append(Node(operation, ValueKind.CONDITION, left.start, right.stop, (left, right)))
        return pairs[0] if len(pairs) == 1 else self._node(tree, "and", ValueKind.CONDITION, *pairs)

    def _check_sides(self, operation: str, left: Node, right: Node) -> None:
        if operation == "in":
            self._typed(left, ValueKind.TEXT)
            self._typed(right, ValueKind.TEXTS)
        elif left.kind is ValueKind.TEXT and operation in {"==", "!="}:
            self._typed(right, ValueKind.TEXT)
        else:
            self._typed(left, ValueKind.NUMBER)
            self._typed(right, ValueKind.NUMBER)

    def _typed(self, node: Node, kind: ValueKind) -> Node:
        if node.kind is not kind:
            raise ScanError(self._text, node.start, f"this is a {node.kind}; expected a {kind}")
        return node

    def call(self, tree: ast.Call, depth: int) -> Node:
        name = tree.func.id if isinstance(tree.func, ast.Name) else ""
        signature = FUNCTIONS.get(name)
        if signature is None:
            self._refuse(tree, f"unknown function{_nearest(name, list(FUNCTIONS))}")
        usage = f"expected {name}({signature.parameters})"
        given = list(tree.args)
        if tree.keywords or any(isinstance(argument, ast.Starred) for argument in given):
            self._refuse(tree, usage)
        window = self._window(given.pop(), usage) if signature.has_window and given else 0
        values = self._arguments(tree, given, signature, depth)
        if len(values) != len(signature.takes) or (signature.has_window and not window):
            self._refuse(tree, usage)
        for value, kind in zip(values, signature.takes, strict=True):
            self._typed(value, kind)
        self._check_reach(name, values)
        return self._node(tree, name, signature.gives, *values, window=window)

    def _arguments(
        self, tree: ast.Call, given: list[ast.expr], signature: FunctionSignature, depth: int
    ) -> list[Node]:
        if signature.default and not given:
            return [self._node(tree, signature.default, ValueKind.NUMBER)]
        return [self.read(argument, depth + 1) for argument in given]

    def _window(self, tree: ast.expr, usage: str) -> int:
        value = tree.value if isinstance(tree, ast.Constant) else None
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            self._refuse(tree, "this would look ahead; expected a number of bars back, from 1 on")
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WINDOW:
            self._refuse(tree, f"{usage} with n a whole number of bars from 1 to {MAX_WINDOW}")
        return value

    def _check_reach(self, name: str, values: list[Node]) -> None:
        """Refuses a verdict's value below a window, and in weekly bars what only days have."""
        for node in (part for value in values for part in walk(value)):
            if node.operation in VERDICT_NAMES and name not in WINDOW_FREE:
                problem = (
                    f"{node.operation} is known at the session itself only: it cannot be used in {name}()"
                )
                raise ScanError(self._text, node.start, problem)
            if name == "weekly" and node.operation in {"rs", "rank", "weekly"}:
                raise ScanError(self._text, node.start, f"{node.operation} cannot be used in weekly()")


_READERS: Final[dict[type[ast.expr], Callable[[_Reader, Any, int], Node]]] = {
    ast.Constant: _Reader.constant,
    ast.Name: _Reader.name,
    ast.Tuple: _Reader.texts,
    ast.List: _Reader.texts,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.arithmetic,
    ast.BoolOp: _Reader.logic,
    ast.Compare: _Reader.comparison,
    ast.Call: _Reader.call,
}


def walk(node: Node) -> list[Node]:
    """The node and everything below it."""
    return [node, *(part for child in node.children for part in walk(child))]


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return (
        f" {name!r}; did you mean {' or '.join(near)}?"
        if near
        else f" {name!r}; docs/scans.md lists them all"
    )
