#!/usr/bin/env python3
"""Gates on notebooks and modules that neither tests nor ruff nor pyright see.

Usage: .ci/gates.py [GATE ...]     prints one line per gate, then 'N passed, N failed'; exit status 1 if one failed
"""
import ast
import configparser
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cards
import yaml
from pages import KERNEL, PACKAGE, TOP, Page, imports, pages, without_comments

LIGHT = 'sample.loop', 'sample.generate', 'denoise.denoiser', 'train.loop'   # `import diffnb.…` of these is quick
HEAVY = {'matplotlib', 'datasets', 'accelerate', 'pandas'}                    # … so it loads none of these
TOOLS = {'nbdev', 'execnb', 'smalldocs', 'yaml'}                              # developers have these; users need not
ASSETS = 'fashion_mnist_12000.npz.xz', 'fashion_mnist_LICENSE', 'model/card.json', 'model/model.safetensors'
LONGEST_FUNCTION, LONGEST_CELL = 40, 40   # lines
SHOWN, WIDEST_TABLE = 88, 132             # columns of code, and of printed tables, on a page
PAGE_OUTPUTS, ALL_OUTPUTS, PICTURE, ALL_ASSETS = 400e3, 8e6, 60e3, 12e6   # bytes
TEST = re.compile(r'^(test_\w+\(|assert\b|with expect_fail\(|expect_fail\()|;\s*(test_\w+\(|assert\b)')
DEVICE = re.compile(r"\.cuda\(|device\(?=?['\"](cuda|mps)|\.to\(['\"](cuda|mps)")


# What gates look at

def modules():
    "{path: source} of the exported modules"
    files = sorted((TOP/PACKAGE).rglob('*.py'))
    return {p: p.read_text(encoding='utf8') for p in files if p.name not in ('__init__.py', '_modidx.py')}


def parts(text=None):
    "The folders whose notebooks export modules, lowest first: the first column of a table in CONTRIBUTING.md"
    text = text or (TOP/'CONTRIBUTING.md').read_text(encoding='utf8')
    return re.findall(r'^\| `(\w+)` \|', text.partition('The parts, lowest first:')[2].partition('\n\nE')[0], re.M)



def folder(page): return page.path.parent.relative_to(page.top/'nbs').as_posix().removeprefix('.')


# The repository

def symlink():
    "nbs/_quarto.yml is the one at the top"
    link = TOP/'nbs/_quarto.yml'
    good = link.is_symlink() and link.readlink() == Path('../_quarto.yml')
    return [] if good else ['nbs/_quarto.yml is not a link to ../_quarto.yml']


def modules_have_notebooks():
    "Every module is exported by a notebook, and every notebook's module is there"
    made = {'.'.join(p.relative_to(TOP/PACKAGE).with_suffix('').parts) for p in modules()}
    wanted = {p.module for p in pages() if p.module}
    return [f'{PACKAGE}/{m.replace(".", "/")}.py has no notebook' for m in sorted(made - wanted)] + \
           [f'{m} was not exported' for m in sorted(wanted - made)]


def out_of_order(found, order):
    "Imports of exported code that go up: to a later part, or to a later notebook of the same part"
    exporting = {p.module: p for p in found if p.module}
    rank = lambda p: (order.index(folder(p)), p.path.name)
    lost = [p for p in exporting.values() if folder(p) not in order]
    bad = [f'{p.name}: folder {folder(p) or "nbs"} is not among the parts in CONTRIBUTING.md' for p in lost]
    for p in [] if bad else exporting.values():
        for c in p.cells:
            if not c.exported: continue
            plain = [n for n in ast.walk(ast.parse(c.source)) if isinstance(n, ast.Import)]
            whole = [a.name for n in plain for a in n.names if a.name.startswith(f'{PACKAGE}.')]
            later = [m for m in sorted(imports(c.source)) if m in exporting and rank(exporting[m]) >= rank(p)]
            bad += [f'{p.name}: write from {w} import name' for w in whole]
            bad += [f'{p.name} imports {m}, which comes later' for m in later]
    return bad


def layering():
    "Exported code imports only from lower layers, inside functions too"
    return out_of_order(pages(), parts())


def untested(settings, constraints, jobs):
    "Claims of settings.ini and constraints.txt that no job has; a job is (version of Python, what pip gets)"
    lowest, used = re.search(r'\btorch>=(\S+)', settings)[1], re.search(r'^torch==(\S+)', constraints, re.M)[1]
    claimed = {re.search(r'^min_python = (\S+)', settings, re.M)[1], f'torch=={lowest}.*', f'torch=={used}', 'torch'}
    return [f'no job has {want}' for want in sorted(claimed - {part for job in jobs for part in job})]


def claims_are_tested():
    "GitHub's workflow has the lowest Python, and the lowest, the usual and the newest torch"
    workflow = yaml.safe_load((TOP/'.github/workflows/test.yml').read_text(encoding='utf8'))
    jobs = [(j['python'], j['torch']) for j in workflow['jobs']['versions']['strategy']['matrix']['include']]
    return untested((TOP/'settings.ini').read_text(), (TOP/'constraints.txt').read_text(), jobs)


def numbers_once():
    "No two notebooks of a folder have the same number"
    seen, bad = {}, []
    for p in pages():
        number = re.match(r'(\d\d)_', p.path.name)
        if not number: continue
        other = seen.setdefault((folder(p), number[1]), p)
        if other is not p: bad.append(f'{other.name} and {p.name} have the same number')
    return bad


def assets():
    "What travels inside the package is there and is small"
    root = TOP/PACKAGE/'assets'
    size = sum(p.stat().st_size for p in root.rglob('*') if p.is_file())
    return [f'assets have no {f}' for f in ASSETS if not (root/f).is_file()] + \
           ([f'assets are {size/1e6:.1f} MB, allowed are {ALL_ASSETS/1e6:.0f}'] if size > ALL_ASSETS else [])


# Modules

def long_functions():
    "No function has more than 40 lines, its signature and docstring included"
    kinds = ast.FunctionDef, ast.AsyncFunctionDef
    found = [(p, n, n.end_lineno - n.lineno + 1) for p, source in modules().items() for n in ast.walk(ast.parse(source))
             if isinstance(n, kinds)]
    return [f'{p.relative_to(TOP)}:{n.lineno} {n.name} has {lines} lines, allowed are {LONGEST_FUNCTION}'
            for p, n, lines in found if lines > LONGEST_FUNCTION]


def long_lines():
    "No line has more than 120 columns, but for the list __all__, which nbdev writes"
    bad = []
    for p, source in modules().items():
        listed = [n for n in ast.parse(source).body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == '__all__']
        skip = {i for n in listed for i in range(n.lineno, n.end_lineno + 1)}
        bad += [f'{p.relative_to(TOP)}:{i} has {len(line)} columns, allowed are 120'
                for i, line in enumerate(source.splitlines(), 1) if len(line) > 120 and i not in skip]
    return bad


def light_import():
    "Importing what samples and trains does not load what draws, downloads or tabulates"
    code = f"""
import importlib, sys
for m in {LIGHT}:
    importlib.import_module('{PACKAGE}.' + m)
    print(m, *sorted({HEAVY} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    heavy = [line.replace(' ', ' loads ', 1) for line in done.stdout.splitlines() if ' ' in line]
    bad = [f'import {PACKAGE}.{h}' for h in heavy[:1]]   # all after it load the same
    return bad + ([done.stderr.strip().splitlines()[-1]] if done.returncode else [])


def no_developers_tools():
    "The package needs nothing that only the site or the tests need"
    bad = []
    for p, source in modules().items():
        for n in ast.walk(ast.parse(source)):
            names = [a.name for a in n.names] if isinstance(n, ast.Import) else \
                    [n.module or ''] if isinstance(n, ast.ImportFrom) and not n.level else []
            bad += [f'{p.relative_to(TOP)}:{n.lineno} imports {m}' for m in names if m.split('.')[0] in TOOLS]
    return bad


def no_device():
    "No module names a device"
    return [f'{p.relative_to(TOP)} names a device: {line.strip()}' for p, source in modules().items()
            for line in without_comments(source).splitlines() if DEVICE.search(line)]


# Pages

def outputs():
    "Pages store what they show, small, and without errors"
    bad, total = [], 0
    for p in pages():
        cells = [c for c in p.notebook['cells'] if c['cell_type'] == 'code']
        stored = [o for c in cells for o in c['outputs']]
        size = sum(len(json.dumps(o)) for o in stored)
        total += size
        if size > PAGE_OUTPUTS: bad.append(f'{p.name} stores {size/1e3:.0f} KB, allowed are {PAGE_OUTPUTS/1e3:.0f}')
        if not stored: bad.append(f'{p.name} stores no outputs: run .ci/rerun.py {p.name}')
        if any(o['output_type'] == 'error' or o.get('name') == 'stderr' for o in stored):
            bad.append(f'{p.name} stores an error or stderr')
        pictures = [len(''.join(o.get('data', {}).get('image/png', '')))*.75 for o in stored]
        big = [b for b in pictures if b > PICTURE]
        bad += [f'{p.name} stores a picture of {b/1e3:.0f} KB, allowed are {PICTURE/1e3:.0f}' for b in big]
    if total > ALL_OUTPUTS: bad.append(f'all pages store {total/1e6:.1f} MB of outputs, allowed are {ALL_OUTPUTS/1e6:.0f}')
    return bad


def words_for_pictures():
    "A cell that shows a picture says what is on it, for those who do not see it"
    bad = []
    for p in pages():
        pictures = lambda c: any('image/png' in o.get('data', {}) for o in c.get('outputs', []))
        drawn = [c.get('id') for c in p.notebook['cells'] if pictures(c)]
        bad += [f"{p.name} {c.id}: '{c.first_line[:50]}' draws and has no line '#| fig-alt: \"…\"'" for c in p.cells
                if c.id in drawn and len(c.directives.get('fig-alt', '').strip('"\' ')) < 3]
    return bad


def nothing_left_open():
    "No page has a placeholder"
    left = re.compile(r'\b[A-Z]+_(TEXT|STEPS)\b|TODO|FIXME')
    return [f'{p.name}: {m[0]}' for p in pages() for c in p.notebook['cells'] if c['cell_type'] == 'markdown'
            for m in [left.search(''.join(c['source']))] if m]


def one_kernel():
    "No page names the kernel of somebody's own environment"
    return [f"{p.name} has kernel {p.notebook['metadata'].get('kernelspec')}: run .ci/clean.py" for p in pages()
            if p.notebook['metadata'].get('kernelspec') != KERNEL]


def visible(page):
    "The cells whose code a reader sees, apart from exported ones"
    unseen = lambda c: {'hide', 'default_exp'} & set(c.directives) or c.exported or \
        c.directives.get('echo') == 'false' or c.directives.get('include') == 'false'
    return [c for c in page.cells if not unseen(c)]


def long_cells():
    "No cell that a reader sees has more than 40 lines, apart from exported ones"
    return [f'{p.name} {c.id}: {n} lines, allowed are {LONGEST_CELL}' for p in pages() for c in visible(p)
            if (n := len(c.source.splitlines()) - len(c.directives)) > LONGEST_CELL]


def wide_code():
    "Code that a reader sees fits beside the sidebar"
    return [f'{p.name} {c.id}: {len(line)} columns, allowed are {SHOWN}: {line.strip()[:40]}…' for p in pages()
            for c in visible(p) for line in c.source.splitlines() if len(line) > SHOWN and not line.startswith('#|')]


def wide_outputs():
    "Tables that cells print scroll little; printed sentences are wrapped by the site"
    bad = []
    for p in pages():
        if p.path.stem.endswith('_journal'): continue       # a log of long rows
        seen = {c.id for c in p.cells if 'hide' not in c.directives}
        for c in p.notebook['cells']:
            text = ''.join(''.join(o.get('text') or o.get('data', {}).get('text/plain', ''))
                           for o in c.get('outputs', []) if not {'image/png', 'text/markdown'} & set(o.get('data', {})))
            wide = [line for line in text.splitlines() if len(line) > WIDEST_TABLE and '  ' in line.strip()]
            if wide and c.get('id') in seen:
                bad.append(f"{p.name} {c['id']} prints {len(wide[0])} columns, allowed are {WIDEST_TABLE}: {wide[0][:40]}…")
    return bad


def tests_beside_the_lesson():
    "At most a tenth of the code that a reader sees tests something; the rest of the tests are hidden cells"
    bad = []
    for p in pages():
        lines = [line.strip() for c in visible(p) for line in without_comments(c.source).splitlines()]
        tests = [line for line in lines if TEST.search(line)]
        if len(tests) > max(3, .1*len(lines)): bad.append(f'{p.name}: {len(tests)} of {len(lines)} visible lines test')
    return bad


def colab_installs():
    "The first code cell that runs installs the package on Colab, since each page has a link that opens it there"
    first = lambda p: next((c for c in p.cells if 'default_exp' not in c.directives), None)
    return [f'{p.name} has no first cell that installs the package on Colab: copy it from another page' for p in pages()
            if not (first(p) and 'COLAB_RELEASE_TAG' in first(p).source)]


def questions():
    "Chapters, explanations and tutorials end in three to six questions; the cards made of them are current"
    bad = []
    for p in pages():
        asked = len(cards.collected([p]))
        chapter = p.module or p.path.parent.name in ('explanations', 'tutorials')
        if chapter and p.path.stem != 'questions' and not 3 <= asked <= 6:
            bad.append(f'{p.name} ends in {asked} questions, 3 to 6 are wanted')
    config = configparser.ConfigParser(delimiters=['='])
    config.read(TOP/'settings.ini', encoding='utf8')
    site = yaml.safe_load((TOP/'_quarto.yml').read_text(encoding='utf8'))['website']['sidebar']['contents']
    base = config['DEFAULT']['doc_host'] + config['DEFAULT']['doc_baseurl']
    made = cards.anki(cards.collected(cards.in_reading_order(pages(), site)), base)
    stored = TOP/'nbs/explanations/cards.tsv'
    if not stored.exists() or stored.read_text(encoding='utf8') != made:
        bad.append('nbs/explanations/cards.tsv is not current: run .ci/rerun.py nbs/explanations/questions.ipynb')
    return bad


GATES = (symlink, modules_have_notebooks, claims_are_tested, layering, numbers_once, assets, long_functions, long_lines,
         light_import, no_developers_tools, no_device, outputs, words_for_pictures, nothing_left_open, long_cells,
         wide_code, wide_outputs, tests_beside_the_lesson, questions, colab_installs, one_kernel)


# Known answers

def a_table_gives_the_layers():
    "The first column, in its order; other tables do not count"
    text = '| `x` | y |\n\nThe parts, lowest first:\n\n| part | is |\n|---|---|\n| `core` | a |\n| `data` | b |\n\nE\n| `z` | c |'
    assert parts(text) == ['core', 'data']


def layers_point_down():
    "Imports of a later part, of a later notebook of the same part and of a whole module are reported, others are not"
    with tempfile.TemporaryDirectory() as d:
        top = Path(d).resolve()
        def page(name, module, code):
            path = top/'nbs'/name; path.parent.mkdir(parents=True, exist_ok=True)
            sources = f'#| default_exp {module}', f'#| export\n{code}'
            cells = [dict(cell_type='code', id=s[:9], source=s, outputs=[]) for s in sources]
            path.write_text(json.dumps(dict(cells=cells)))
            return Page(path, top)
        low = page('core/01_a.ipynb', 'core.a', 'def f():\n    from diffnb.core.b import two')
        same = page('core/02_b.ipynb', 'core.b', 'from diffnb.core.a import one')
        high = page('data/01_c.ipynb', 'data.c', 'from diffnb.core import b\nimport diffnb.core.a')
        found = out_of_order([low, same, high], ['core', 'data'])
        later = '{} imports core.b, which comes later'.format
        assert found == [later(low.name), f'{high.name}: write from diffnb.core.a import name'], found
        assert out_of_order([same, high], ['data', 'core'])[-1] == later(high.name)
        assert out_of_order([low], ['data']) == [
            'nbs/core/01_a.ipynb: folder core is not among the parts in CONTRIBUTING.md']


def claims_need_jobs():
    "A version that is claimed and that no job has is reported"
    claims = 'min_python = 3.11\nrequirements = torch>=2.9 numpy', 'torch==2.13.0\n'
    jobs = [('3.11', 'torch==2.9.*'), ('3.13', 'torch==2.13.0'), ('3.13', 'torch')]
    assert untested(*claims, jobs) == []
    assert untested(*claims, jobs[1:]) == ['no job has 3.11', 'no job has torch==2.9.*']
    assert untested(*claims, jobs[:2]) == ['no job has torch']


def selftests(): return [a_table_gives_the_layers, layers_point_down, claims_need_jobs]


def main(names):
    "Run these gates, or all; exit status"
    chosen, failed = [g for g in GATES if not names or g.__name__ in names], 0
    for g in chosen:
        bad = g(); failed += bool(bad)
        print('FAILED ' if bad else 'passed ', g.__name__, *(f'\n    {b}' for b in bad))
    print(f'{len(chosen) - failed} passed, {failed} failed')
    return int(failed > 0)


if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
