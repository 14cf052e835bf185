"""The entries of the API reference: signature, docstring, arguments and methods of a symbol, read from its source.

`settings.ini` names `diffnb_ci.reference.entry` as nbdev's renderer, and `diffnb_ci.reference:Arranged` as a processor.
"""
import ast
import inspect
import io
import json
import re
import textwrap
import tokenize
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

WIDTH = 84      # columns of a signature
NOQA = re.compile(r'#\s*(noqa|type: ignore|pragma)\b.*')     # comments for tools
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef


@dataclass
class Argument:
    "One argument of a function, or field of a class, as written in the source"
    name: str                # with its stars
    annotation: str = ''
    default: str = ''
    comment: str = ''

    def __str__(self):
        text = self.name + (f': {self.annotation}' if self.annotation else '')
        return text + ((' = ' if self.annotation else '=') + self.default if self.default else '')


@dataclass
class Signature:
    "A function, or a class with its public methods"
    name: str
    kind: str = 'def'        # or 'class', 'property'
    arguments: list[Argument] = field(default_factory=list)
    returns: str = ''
    returned: str = ''       # comment on what is returned
    doc: str = ''
    methods: list['Signature'] = field(default_factory=list)

    def __str__(self):
        if self.kind == 'property': return f'{self.name}: {self.returns}' if self.returns else self.name
        if self.kind == 'class' and not self.arguments: return f'class {self.name}'
        end = f') -> {self.returns}' if self.returns else ')'
        start, arguments = f'{self.kind} {self.name}(', list(map(str, self.arguments))
        line = start + ', '.join(arguments) + end
        if len(line) <= WIDTH: return line
        return '\n'.join([start, *filled(arguments), end])


def filled(arguments, indent='    '):
    "Arguments on as few lines as have room for them"
    lines = ['']
    for argument in arguments:
        if lines[-1] and len(indent + lines[-1] + argument) + 2 > WIDTH: lines.append('')
        lines[-1] += (' ' if lines[-1] else '') + argument + ','
    return [indent + line for line in lines]


def comments_by_line(source):
    "{number of a line: its comment, without the sign}"
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = {t.start[0]: NOQA.sub('', t.string).lstrip('# ').strip() for t in tokens if t.type == tokenize.COMMENT}
    return {line: text for line, text in found.items() if text}


def text_of(source, node):
    "The source of a node on one line, '' for none"
    return re.sub(r'\s+', ' ', ast.get_source_segment(source, node) or ast.unparse(node)) if node else ''


def annotation_of(source, node):
    "An annotation without quotes around names that are defined later"
    return re.sub(r"^'(.+)'$", r'\1', text_of(source, node))


def signature_of(source, node, comments, owner=''):
    "The signature of a function's node"
    a, found = node.args, []
    pairs = [*zip(a.posonlyargs + a.args, [None]*(len(a.posonlyargs + a.args) - len(a.defaults)) + a.defaults)]
    listed: list = [('', arg, default) for arg, default in pairs]
    if a.posonlyargs: listed.insert(len(a.posonlyargs), ('/', None, None))
    listed += ([('*', a.vararg, None)] if a.vararg else [])
    if a.kwonlyargs and not a.vararg: listed.append(('*', None, None))
    listed += [('', arg, default) for arg, default in zip(a.kwonlyargs, a.kw_defaults)]
    listed += [('**', a.kwarg, None)] if a.kwarg else []
    decorators = {text_of(source, d) for d in node.decorator_list}
    if owner and 'staticmethod' not in decorators: listed = listed[1:]
    last = node.body[0].lineno
    starts = [arg.lineno for _, arg, _ in listed if arg]
    for stars, arg, default in listed:
        if arg is None: found.append(Argument(stars)); continue
        until = min((n for n in starts if n > arg.lineno), default=(arg.end_lineno or arg.lineno) + 1)
        end = max((default or arg).end_lineno, arg.end_lineno)
        text = ' '.join(comments[i] for i in range(arg.lineno, max(until, end + 1)) if i in comments and i < last)
        found.append(Argument(stars + arg.arg, annotation_of(source, arg.annotation), text_of(source, default), text))
    after = node.returns.end_lineno if node.returns else 0
    returned = comments.get(after, '') if after not in starts else ''
    kind = 'property' if any('property' in d for d in decorators) else 'def'
    return Signature(f'{owner}.{node.name}' if owner else node.name, kind, found, annotation_of(source, node.returns),
                     returned, ast.get_docstring(node) or '')


def fields_of(source, body, comments):
    "The annotated fields of a dataclass or named tuple"
    fields = [n for n in body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    return [Argument(n.target.id, annotation_of(source, n.annotation), text_of(source, n.value), comments.get(n.lineno, ''))
            for n in fields if not n.target.id.startswith('_')]


def read(source):
    "The signature of the function or class that this source defines"
    source = textwrap.dedent(source)
    node, comments = ast.parse(source).body[0], comments_by_line(source)
    if isinstance(node, FUNCTIONS): return signature_of(source, node, comments)
    functions = {n.name: n for n in node.body if isinstance(n, FUNCTIONS)}
    made = functions.get('__init__')
    arguments = signature_of(source, made, comments, node.name).arguments if made else []
    arguments = arguments or fields_of(source, node.body, comments)
    found = Signature(node.name, 'class', arguments, doc=ast.get_docstring(node) or '')
    shown = [f for name, f in functions.items() if ast.get_docstring(f) and (name == '__call__' or name[0] != '_')]
    found.methods = [signature_of(source, f, comments, node.name) for f in shown]
    return found


def explained(sig):
    "(names, comment) of the arguments that have a comment; neighbors on one line share it. Then what is returned"
    found = []
    for a in sig.arguments:
        if found and found[-1][1] == a.comment: found[-1][0].append(a.name)
        elif a.comment: found.append(([a.name], a.comment))
    listed = [(', '.join(f'`{name}`' for name in names), comment) for names, comment in found]
    return listed + ([('returns', sig.returned)] if sig.returned else [])


def markdown(sig, level, link=''):
    "An entry as Markdown: heading, link to the source, signature, docstring, arguments, then the methods"
    parts = [f"{'#'*level} {sig.name}".replace('__', r'\_\_')]
    source = f'[source]({link}){{target="_blank" style="font-size:smaller"}}' if link else ''
    parts += [f'```python\n{sig}\n```', f'{sig.doc} {source}'.strip()]
    parts.append('\n'.join(f'* {names}: {comment}' for names, comment in explained(sig)))
    parts += [markdown(method, level + 1) for method in sig.methods]
    return '\n\n'.join(p for p in parts if p)


@lru_cache(None)
def definitions(folder):
    "{name: [(file, line, source), …]} of all functions and classes of the package"
    found = {}
    for file in sorted(folder.rglob('*.py')):
        text = file.read_text(encoding='utf8')
        for node in ast.parse(text).body:
            if not isinstance(node, (*FUNCTIONS, ast.ClassDef)): continue
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            source = '\n'.join(text.splitlines()[first - 1:node.end_lineno])
            found.setdefault(node.name, []).append((file, node.lineno, source))
    return found


def definition(sym):
    "(address, source) of a symbol: in the package's code if it is exported, since a notebook keeps no source of classes"
    from nbdev.config import get_config
    sym, config = inspect.unwrap(sym), get_config()
    found = definitions(config.lib_path).get(sym.__name__, [])
    if len(found) > 1: found = [f for f in found if sym.__doc__ and sym.__doc__ in f[2]]     # two with the same name
    if len(found) != 1:
        own = inspect.getsource(sym).strip()
        found = [f for f in found if f[2].strip() == own]
        if not found: return '', own
    file, line, source = found[0]
    path = file.relative_to(config.config_path).as_posix()
    return f'{config.git_url}/blob/{config.branch}/{path}#L{line}', source


class Entry:
    "Renderer: one symbol of the reference"
    def __init__(self, sym, name=None, title_level=2):
        self.link, source = definition(sym)
        self.sig, self.level = read(source), title_level
        self.sig.name = name or self.sig.name

    def _repr_markdown_(self): return '---\n\n' + markdown(self.sig, self.level, self.link)
    def __repr__(self): return str(self.sig)


def entry(sym, name=None, title_level=3):
    "Renderer of `show_doc`: second-level headings, since Quarto's search reads only those"
    return Entry(sym, name, title_level - 1)


# Processor

IN_CODE = re.compile(r'```.*?```', re.S)
SUMMARY = re.compile(r'<summary>.*?</summary>', re.S)
CODE = re.compile(r'`([^`]+)`')
LINKED = re.compile(r'\[(`[^`]+`)\]\([^()\s]+\)')
OUTER = re.compile(r'(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\]\([^()\s]+\))*)\]\([^()\s]+\)')


def without_nested_links(text):
    "Markdown in which no link stands inside another link, code, or a summary, where Markdown may not be read at all"
    text = SUMMARY.sub(lambda m: CODE.sub(r'<code>\1</code>', LINKED.sub(r'\1', m[0])), text)
    text = IN_CODE.sub(lambda m: LINKED.sub(lambda link: link[1].strip('`'), m[0]), text)
    return OUTER.sub(lambda m: m[0].replace(m[1], LINKED.sub(r'\1', m[1])) if '](' in m[1] else m[0], text)


def places(sources):
    "{name: (number of the cell, line)} of what these cells define"
    found = {}
    for i, source in enumerate(sources):
        try: body = ast.parse(source).body
        except SyntaxError: continue
        found.update({n.name: (i, n.lineno) for n in body if isinstance(n, (*FUNCTIONS, ast.ClassDef))})
    return found


def in_order(names, place):
    """Positions of cells, so that entries stand in the order of their definitions and above the source

    `names` has for each cell the names that it documents or defines, as ('entry', [name]) or ('source', [name, …]), or
    None for a cell that stays where it is. nbdev puts the entries of a cell below it in reverse, and the last one above.
    """
    def key(i):
        kind, found = names[i]
        cells = [place[n] for n in found if n in place]
        return (cells[0][0], kind == 'source', min(cells)[1]) if cells else (-1, False, i)
    order, i = [], 0
    while i < len(names):
        j = i
        while j < len(names) and names[j]: j += 1
        order += sorted(range(i, j), key=key) if j > i else [i]
        i = max(j, i + 1)
    return order


def sources_of(path):
    "The code of a notebook's cells"
    cells = json.loads(Path(path).read_text(encoding='utf8'))['cells']
    return [''.join(c['source']) for c in cells if c['cell_type'] == 'code']


def named(cell):
    "What a processed cell documents or defines, as `in_order` wants it"
    source = cell.get('source') or ''
    if m := re.search(r'^show_doc\((\w+)\)', source, re.M): return 'entry', [m[1]]
    if cell.cell_type != 'code' or 'code-summary: "Exported source"' not in source: return None
    return 'source', list(places([source]))


def only_imports(source):
    "Whether a cell does nothing but import, so that a reader can skip it"
    try: body = ast.parse(source).body
    except SyntaxError: return False
    return bool(body) and all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in body)


def wrapped(text):
    "Printed text whose sentences fit on a page; lines with columns stay as they are, and scroll"
    def lines(line):
        indent = len(line) - len(line.lstrip())
        if len(line) <= WIDTH or '  ' in line.strip(): return [line]
        return textwrap.wrap(line.strip(), WIDTH, initial_indent=' '*indent, subsequent_indent=' '*(indent + 4),
                             break_long_words=False, break_on_hyphens=False)
    return '\n'.join(new for line in text.split('\n') for new in lines(line))


class Arranged:
    "Processor: entries in order, no links inside links, long sentences wrapped, imports folded; it comes after nbdev's own"
    def __init__(self, nb): self.nb = nb

    def begin(self):
        "Change the notebook that is being processed, not its file"
        place, cells = places(sources_of(self.nb.path_)), list(self.nb.cells)
        self.nb.cells[:] = [cells[i] for i in in_order([named(c) for c in cells], place)]
        for cell in self.nb.cells:
            if cell.cell_type == 'code' and only_imports(cell.source or '') and 'code-fold' not in cell.source:
                cell.source = f'#| code-fold: true\n#| code-summary: "Imports"\n{cell.source}'
            if cell.cell_type == 'markdown': cell.source = without_nested_links(cell.source or '')
            for out in cell.get('outputs', []):
                data = out.get('data', {})
                if 'text/markdown' in data: data['text/markdown'] = without_nested_links(''.join(data['text/markdown']))
                if 'text/plain' in data: data['text/plain'] = wrapped(''.join(data['text/plain']))
                if 'text' in out: out['text'] = wrapped(''.join(out['text']))
