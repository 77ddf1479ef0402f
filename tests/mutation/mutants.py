"""The mutants of a module: its text with one small fault in it, by the operators of mutmut.

mutmut's own run mutates the bodies of functions only, and no property. The code outside of them is
contract as well: stored words, lifetimes, defaults of a provider. Three operators of ours are for
the parts of the domain's rules: earlier and later, conditions, and branches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.mutators import OPERATORS_TYPE, mutation_operators

ROOT = Path(__file__).parents[2]

# Parts for the type checker, which finds their faults.
_FOR_TYPES = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)
# `isinstance` is for types as well, and unreachable code has no visible fault.
_SPARED_CALLS = frozenset({"assert_never", "isinstance"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault: where it is, the lines that it changes, and the module's text with it.

    `place` is the function or class, empty outside of both.
    """

    module: str
    place: str
    before: str
    after: str
    source: str = field(repr=False)


def modules() -> list[str]:
    """Return the names of the modules to mutate: those of the domain."""
    return sorted(f"domain.{file.stem}" for file in ROOT.glob("domain/*.py"))


def unchanged(module: str) -> Mutant:
    """Return the module without a fault, which the tests must pass."""
    return Mutant(module=module, place="", before="", after="", source=_code(module))


@cache
def mutants_of(module: str) -> tuple[Mutant, ...]:
    """Return the mutants of a module, each text once."""
    text = _Text(_code(module))
    found: dict[str, Mutant] = {}
    for statement in text.tree.body:
        finder = _Faults()
        statement.visit(finder)
        for place, node, faulty in finder.found:
            source = text.replace(statement, node, faulty)
            before, after = _difference(text.code, source)
            found[source] = Mutant(
                module=module, place=place, before=before, after=after, source=source
            )
    return tuple(found.values())


def _code(module: str) -> str:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text()


class _Text:
    """The text of a module, its tree, and where each node begins."""

    def __init__(self, code: str) -> None:
        wrapper = MetadataWrapper(cst.parse_module(code), unsafe_skip_copy=True)
        self.code = code
        self.tree = wrapper.module
        self._places = wrapper.resolve(WhitespaceInclusivePositionProvider)
        self._lines = [0, *accumulate(map(len, code.splitlines(keepends=True)))]

    def replace(self, statement: cst.CSTNode, node: cst.CSTNode, faulty: cst.CSTNode) -> str:
        """Return the text with a node of a statement replaced."""
        if self._is_at_its_place(node):
            return self._replace(node, faulty)
        # The text of an indented block lacks its indentation, which only the statement knows.
        changed = statement.deep_replace(node, faulty)
        assert isinstance(changed, cst.CSTNode)
        return self._replace(statement, changed)

    def _is_at_its_place(self, node: cst.CSTNode) -> bool:
        return self.code.startswith(self.tree.code_for_node(node), self._begin(node))

    def _replace(self, node: cst.CSTNode, other: cst.CSTNode) -> str:
        begin = self._begin(node)
        end = begin + len(self.tree.code_for_node(node))
        return self.code[:begin] + self.tree.code_for_node(other) + self.code[end:]

    def _begin(self, node: cst.CSTNode) -> int:
        start = self._places[node].start
        return self._lines[start.line - 1] + start.column


def _difference(before: str, after: str) -> tuple[str, str]:
    """Return the lines that differ, without those that are the same before and behind them."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return _one_line(old), _one_line(new)


def _one_line(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)


class _Faults(cst.CSTVisitor):
    """Collects the faults of each node, and their places."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, cst.CSTNode, cst.CSTNode]] = []
        self._places: list[str] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _is_spared(node):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._places.append(node.name.value)
        place = ".".join(self._places)
        self.found += [(place, node, faulty) for faulty in _faults(node)]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._places.pop()


def _is_spared(node: cst.CSTNode) -> bool:
    match node:
        case cst.Call(func=cst.Name(value=name)):
            return name in _SPARED_CALLS
        case cst.AnnAssign(annotation=cst.Annotation(annotation=cst.Name("TypeAlias"))):
            return True
        case cst.Assign(value=cst.Call(func=cst.Name("TypeVar"))):
            return True
        case cst.If(test=cst.Name("TYPE_CHECKING")):
            return True
        case _:
            # The text of an error is for people: no code depends on it.
            return isinstance(node, (*_FOR_TYPES, cst.Raise))


def _faults(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in _OPERATORS:
        if isinstance(node, kind):
            yield from (faulty for faulty in operator(node) if not _is_lost_safeguard(node, faulty))


def _other_extreme(node: cst.Call) -> Iterator[cst.Call]:
    """Take the later instant for the earlier one, or the longer duration for the shorter."""
    match node.func:
        case cst.Name("min"):
            yield node.with_changes(func=cst.Name("max"))
        case cst.Name("max"):
            yield node.with_changes(func=cst.Name("min"))
        case _:
            pass


def _one_condition_less(node: cst.BooleanOperation) -> Iterator[cst.BaseExpression]:
    """Leave out one of two conditions, each in its turn."""
    for other in (node.left, node.right):
        yield other.with_changes(lpar=[*node.lpar, *other.lpar], rpar=[*other.rpar, *node.rpar])


def _other_way(node: cst.If) -> Iterator[cst.If]:
    """Swap the branches."""
    condition = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    test = cst.UnaryOperation(operator=cst.Not(), expression=condition)
    yield node.with_changes(test=test, whitespace_before_test=cst.SimpleWhitespace(" "))


_OPERATORS: OPERATORS_TYPE = (
    *mutation_operators,
    (cst.Call, _other_extreme),
    (cst.BooleanOperation, _one_condition_less),
    (cst.If, _other_way),
)


def _is_lost_safeguard(node: cst.CSTNode, faulty: cst.CSTNode) -> bool:
    """Whether the fault only removes the last arm of a match, which is unreachable."""
    if not (isinstance(node, cst.Match) and isinstance(faulty, cst.Match)):
        return False
    return _ends_open(node) and not _ends_open(faulty)


def _ends_open(match: cst.Match) -> bool:
    pattern = match.cases[-1].pattern
    return isinstance(pattern, cst.MatchAs) and pattern.pattern is None and pattern.name is None
