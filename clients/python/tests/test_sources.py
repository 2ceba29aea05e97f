import ast
import doctest
import glob
import importlib
import os
import pkgutil
import re
import unittest

import greenwave

CLIENT = os.path.dirname(os.path.dirname(os.path.abspath(greenwave.__file__)))
REPOSITORY = os.path.dirname(os.path.dirname(CLIENT))
# What came into the standard library after 3.9, as far as a client might reach for it.
LATER = re.compile(
    r"\b(zip\([^)]*strict=|removesuffix_|datetime\.UTC|import tomllib|ExceptionGroup|asyncio\.(timeout|TaskGroup|Runner)|"
    r"itertools\.(pairwise|batched)|int\.bit_count|\.bit_count\(|from typing import .*\b(ParamSpec|Self|TypeAlias|Never|Unpack|override)\b|"
    r"slots=True|kw_only=True|from types import .*NoneType|enum\.StrEnum|contextlib\.(aclosing|chdir)|math\.(exp2|cbrt|sumprod))"
)


def sources():
    found = glob.glob(os.path.join(CLIENT, "**", "*.py"), recursive=True)
    found += glob.glob(os.path.join(REPOSITORY, "examples", "python", "*.py"))
    return sorted(found)


def modules():
    yield "greenwave"
    for m in pkgutil.walk_packages(greenwave.__path__, "greenwave."):
        yield m.name


class TestSources(unittest.TestCase):
    def test_they_are_python_3_9(self):
        self.assertGreater(len(sources()), 20)
        for path in sources():
            with open(path, encoding="utf-8") as f:
                text = f.read()
            ast.parse(text, path, feature_version=(3, 9))
            if os.path.basename(path) != "test_sources.py":
                self.assertIsNone(LATER.search(text), path)

    def test_files_are_read_in_one_sitting(self):
        for path in sources():
            with open(path, encoding="utf-8") as f:
                n = sum(1 for _ in f)
            self.assertLessEqual(n, 500, path)

    def test_only_the_standard_library_is_imported(self):
        allowed = set(getattr(__import__("sys"), "stdlib_module_names", ())) | {"greenwave", "tests", "database_integration", "compression"}
        if len(allowed) < 50:
            return  # before 3.10 Python does not list its standard library; newer ones look
        for path in sources():
            with open(path, encoding="utf-8") as f:
                tree = ast.parse(f.read(), path)
            for node in ast.walk(tree):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module]
                for name in names:
                    self.assertIn(name.split(".")[0], allowed, path)

    def test_functions_say_their_types(self):
        for path in glob.glob(os.path.join(CLIENT, "greenwave", "**", "*.py"), recursive=True):
            with open(path, encoding="utf-8") as f:
                tree = ast.parse(f.read(), path)
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    where = f"{path}:{node.lineno} {node.name}"
                    self.assertIsNotNone(node.returns, where)
                    for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs:
                        self.assertTrue(a.annotation is not None or a.arg in ("self", "cls"), f"{where}: {a.arg}")
        self.assertTrue(os.path.exists(os.path.join(CLIENT, "greenwave", "py.typed")))

    def test_examples_in_the_documentation_strings(self):
        tried = 0
        for name in modules():
            failed, n = doctest.testmod(importlib.import_module(name))
            self.assertEqual(failed, 0, name)
            tried += n
        self.assertGreater(tried, 15)
