"""What the other scripts know about pages (notebooks), and a hash that tells whether a page's code changed."""
import ast
import configparser
import hashlib
import io
import json
import re
import tokenize
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PACKAGE = 'diffnb'
KERNEL = dict(display_name='python3', language='python', name='python3')   # of every page, whatever runs it
DIRECTIVE = re.compile(r'^\s*#\s*\|\s*([\w-]+):?\s*(.*)$')
# Code that measures time or has a budget of it, and code that starts processes of its own: such a page runs alone
CLOCK = re.compile(r'\b((minutes|perf_counter|check_fast|bench_table|accelerate|subprocess)\b'
                   r'|seconds=|paired\(|profile\()')


def directives(source):
    "{name: rest of the line} of the `#|` lines at the top of a cell, or below its magic (`%%time`)"
    found = {}
    for i, line in enumerate(source.splitlines()):
        if not line.strip() or i == 0 and line.startswith('%%'): continue
        if not DIRECTIVE.match(line): break
        found.update([DIRECTIVE.match(line).groups()])
    return found


def without_comments(source):
    "The code of a cell or module without comments, docstrings and empty lines; other text comes back as it is"
    try: tokens, tree = list(tokenize.generate_tokens(io.StringIO(source).readline)), ast.parse(source)
    except (tokenize.TokenError, SyntaxError): return source
    lines = source.splitlines()
    for t in tokens:
        if t.type == tokenize.COMMENT: lines[t.start[0] - 1] = lines[t.start[0] - 1][:t.start[1]]
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)): continue
        if ast.get_docstring(node, clean=False) is None: continue
        text = node.body[0]
        head, tail = lines[text.lineno - 1].encode()[:text.col_offset], lines[text.end_lineno - 1].encode()[text.end_col_offset:]
        lines[text.lineno - 1:text.end_lineno] = [(head + tail).decode(), *[''] * (text.end_lineno - text.lineno)]
    return '\n'.join(line.rstrip() for line in lines if line.strip())


def imports(source, module=None, is_package=False):
    """Modules of the package that the code imports, inside functions too, as dotted names without the package's own

    `module` is the dotted name of the code itself ('data.spec'), which relative imports start from.
    `from diffnb.data import spec` gives both 'data' and 'data.spec'; callers drop what does not exist.
    """
    try: tree = ast.parse(source)
    except SyntaxError: tree = ast.parse('\n'.join(l for l in source.splitlines() if not re.match(r'\s*[!%]', l)))
    full = f'{PACKAGE}.{module}' if module else PACKAGE
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import): found |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom):
            start = node.module or ''
            if node.level:
                above = full.split('.')[:len(full.split('.')) - node.level + is_package]
                start = '.'.join(above + ([node.module] if node.module else []))
            found |= {start, *(f'{start}.{a.name}' for a in node.names)}
    return {name.removeprefix(f'{PACKAGE}.') for name in found if name.startswith(f'{PACKAGE}.')}


@dataclass(frozen=True)
class Cell:
    "One code cell"
    id: str
    source: str

    @property
    def directives(self): return directives(self.source)

    @property
    def exported(self): return any(d.startswith('export') for d in self.directives)

    @property
    def tested(self):
        "Does nbdev_test run it, if its flags are asked for?"
        return 'notest' not in self.directives and self.directives.get('eval', '').strip().lower() != 'false'

    @property
    def first_line(self):
        "The first line that is neither a directive nor a comment"
        return next((l for l in self.source.splitlines() if l.strip() and not l.lstrip().startswith('#')), '')


class Page:
    "A notebook under nbs/"
    def __init__(self, path, top=TOP): self.path, self.top = Path(path).resolve(), top

    @property
    def name(self):
        "Its path in the repository, which is how the record and all messages call it"
        return self.path.relative_to(self.top).as_posix()

    @cached_property
    def notebook(self): return json.loads(self.path.read_text(encoding='utf8'))

    @cached_property
    def cells(self):
        "Its code cells"
        found = (c for c in self.notebook['cells'] if c['cell_type'] == 'code')
        return [Cell(c.get('id') or f'number {i}', ''.join(c['source'])) for i, c in enumerate(found)]

    @property
    def module(self):
        "Dotted name of the module that it exports, without the package's own; None if it exports none"
        return next((c.directives['default_exp'].strip() for c in self.cells if 'default_exp' in c.directives), None)

    @property
    def slow(self): return [c for c in self.cells if 'slow' in c.directives and c.tested]

    @property
    def alone(self):
        "Do its slow cells measure time, so that nothing else should run beside them?"
        return any(CLOCK.search(without_comments(c.source)) for c in self.slow)


def pages(paths=(), top=TOP):
    "The pages at these paths; all of them without"
    found = [Path(p) for p in paths] or [p for p in (top/'nbs').rglob('[!_.]*.ipynb')
                                         if not any(part[0] in '._' for part in p.relative_to(top/'nbs').parts)]
    return [Page(p, top) for p in sorted(p.resolve() for p in found)]


class Modules:
    "The exported modules: which code each has, and which of the others it needs"
    def __init__(self, top=TOP):
        root = top/PACKAGE
        self.files = {'.'.join(p.relative_to(root).with_suffix('').parts).removesuffix('.__init__'): p
                      for p in sorted(root.rglob('*.py')) if p.name != '_modidx.py' and p != root/'__init__.py'}
        self.sources = {m: p.read_text(encoding='utf8') for m, p in self.files.items()}
        self.commands = {}
        if (top/'settings.ini').exists():
            ini = configparser.ConfigParser(delimiters=['='])
            ini.read(top/'settings.ini', encoding='utf8')
            for line in ini['DEFAULT'].get('console_scripts', '').split():
                command, target = line.split('=')
                self.commands[command] = target.split(':')[0].removeprefix(f'{PACKAGE}.')
        self.direct = {m: imports(s, m, self.files[m].name == '__init__.py') & set(self.files) - {m}
                       for m, s in self.sources.items()}

    def needed(self, names):
        "These modules, the packages that they are in, and all that they import, directly or not"
        found, ahead = set(), list(names)
        while ahead:
            m = ahead.pop()
            if m not in self.files or m in found: continue
            found.add(m)
            ahead += [*self.direct[m], m.rpartition('.')[0]]
        return found

    def of_page(self, page):
        "All modules that a page's cells use: by import, or by the name of a command"
        code = '\n'.join(c.source for c in page.cells)
        named = {m for command, m in self.commands.items() if re.search(rf'\b{command}\b', code)}
        return self.needed(set().union(named, *(imports(c.source) for c in page.cells))) - {page.module}


def digest(texts): return hashlib.sha256('\0'.join(texts).encode()).hexdigest()[:16]


def hashes(page, modules):
    "What a page's results depend on: its `own` code, and the code of all modules that it `imports`"
    needed = sorted(modules.of_page(page))
    return dict(own=digest(f"{'slow' in c.directives} {without_comments(c.source)}" for c in page.cells),
                imports=digest(t for m in needed for t in (m, without_comments(modules.sources[m]))))
