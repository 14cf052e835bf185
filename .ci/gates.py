"""Gates on notebooks and modules that tests do not see.

Usage: .ci/gates.py     prints one line per gate, then 'N passed, N failed'; exit status 1 if one failed
"""
import ast, builtins, dis, importlib, json, re, subprocess, sys, types
from pathlib import Path

top = Path(__file__).resolve().parent.parent
notebooks = {p: json.loads(p.read_text(encoding='utf8')) for p in sorted((top/'nbs').rglob('[!_.]*.ipynb')) if '.ipynb_checkpoints' not in p.parts}
source = lambda c: ''.join(c['source'])
def directives(c): return [m[1] for l in source(c).splitlines() if (m := re.match(r'\s*#\s*\|\s*(\w+)', l))]
def code_cells(nb): return [c for c in nb['cells'] if c['cell_type'] == 'code']
def exports():
    "module name -> notebook"
    return {m[1]: p for p, nb in notebooks.items() for c in code_cells(nb) if (m := re.search(r'^#\s*\|\s*default_exp\s+(\S+)', source(c), re.M))}
def trees():
    for p, nb in notebooks.items():
        for c in code_cells(nb):
            if any(d.startswith('export') for d in directives(c)): yield p, ast.parse(source(c))

def symlink(): return [] if (top/'nbs/_quarto.yml').is_symlink() and (top/'nbs/_quarto.yml').readlink() == Path('../_quarto.yml') else ['nbs/_quarto.yml is not a link to ../_quarto.yml']
def modules_have_notebooks():
    made = {p.stem for p in (top/'diffnb').glob('*.py') if p.name not in ('__init__.py', '_modidx.py')}
    return [f'diffnb/{m}.py has no notebook' for m in made - set(exports())] + [f'{m} was not exported' for m in set(exports()) - made]
def layering():
    order, bad = {m: p.name for m, p in exports().items()}, []
    for p, tree in trees():
        for n in ast.walk(tree):
            if isinstance(n, ast.ImportFrom) and n.module == 'diffnb' or isinstance(n, ast.Import) and any(a.name.startswith('diffnb.') for a in n.names): bad.append(f'{p.name}: write from diffnb.module import name')
            if isinstance(n, ast.ImportFrom) and (n.module or '').startswith('diffnb.') and order[n.module.split('.')[1]] >= p.name: bad.append(f'{p.name} imports {n.module}')
    return bad
def globals_exist():
    bad = []
    def codes(c):
        yield c
        for k in c.co_consts:
            if isinstance(k, types.CodeType): yield from codes(k)
    for m in exports():
        mod = importlib.import_module(f'diffnb.{m}')
        for c in codes(compile((top/f'diffnb/{m}.py').read_text(), m, 'exec')):
            if c.co_name == '<module>': continue
            bad += [f'{m}.{c.co_name}: {i.argval}' for i in dis.get_instructions(c) if i.opname == 'LOAD_GLOBAL' and not hasattr(mod, i.argval) and not hasattr(builtins, i.argval)]
    return bad
def docstrings():
    kinds, bad = (ast.FunctionDef, ast.ClassDef), []
    for p, tree in trees():
        for n in tree.body:
            for m in [n, *(n.body if isinstance(n, ast.ClassDef) else [])]:
                if isinstance(m, kinds) and not m.name.startswith('_') and not ast.get_docstring(m): bad.append(f'{p.name}: {n.name} {m.name}')
    return bad
def outputs():
    bad, total = [], 0
    for p, nb in notebooks.items():
        size = sum(len(json.dumps(o)) for c in code_cells(nb) for o in c['outputs']); total += size
        if size > 400e3: bad.append(f'{p.name} stores {size/1e3:.0f} KB of outputs, allowed are 400')
        if not any(c['outputs'] for c in code_cells(nb)): bad.append(f'{p.name} stores no outputs: run .ci/rerun.py {p.relative_to(top)}')
        for c in code_cells(nb):
            for o in c['outputs']:
                if o['output_type'] == 'error' or o.get('name') == 'stderr': bad.append(f'{p.name} stores an error or stderr')
                png = ''.join(o.get('data', {}).get('image/png', ''))
                if len(png) * .75 > 60e3: bad.append(f'{p.name} stores a picture of {len(png)*.75e-3:.0f} KB, allowed are 60')
    return bad + ([f'{total/1e6:.1f} MB of outputs in all, allowed are 6'] if total > 6e6 else [])
def words_for_pictures():
    return [f"{p.name}: the cell '{source(c).splitlines()[0][:50]}' draws and has no line '# alt: …'" for p, nb in notebooks.items() for c in code_cells(nb)
            if any('image/png' in o.get('data', {}) for o in c['outputs']) and not re.search(r'^# alt: \S', source(c), re.M)]
def nothing_left_open():
    return [f"{p.name}: {m[0]}" for p, nb in notebooks.items() for c in nb['cells'] if c['cell_type'] == 'markdown' for m in [re.search(r'\b[A-Z]+_(TEXT|STEPS)\b|TODO|FIXME', source(c))] if m]
def numbers_once():
    n = [p.name[:2] for p in notebooks if p.parent.name == 'nbs' and p.name[:2].isdigit()]
    return [f'two notebooks have the number {i}' for i in set(n) if n.count(i) > 1]
def assets():
    needed = ['fashion_mnist_12000.npz.xz', 'fashion_mnist_LICENSE', 'model/card.json', 'model/model.safetensors']
    missing = [f'assets have no {f}' for f in needed if not (top/'diffnb/assets'/f).is_file()]
    size = sum(p.stat().st_size for p in (top/'diffnb/assets').rglob('*') if p.is_file())
    return missing + [f'assets are {size/1e6:.1f} MB, allowed are 12'] if size > 12e6 else []
def light_import():
    heavy = {'matplotlib', 'datasets', 'accelerate', 'pandas'}
    err = subprocess.run([sys.executable, '-X', 'importtime', '-c', 'import diffnb.sample'], capture_output=True, text=True).stderr
    loaded = {l.split('|')[-1].strip().split('.')[0] for l in err.splitlines()}
    return [f'import diffnb.sample loads {m}' for m in heavy & loaded] + ([] if 'torch' in loaded else ['importtime printed nothing'])
def no_device():
    return [f'{m}.py names a device: {l.strip()}' for m in exports() for l in (top/f'diffnb/{m}.py').read_text().splitlines() if re.search(r"\.cuda\(|device\(?=?['\"](cuda|mps)|\.to\(['\"](cuda|mps)", l)]

if __name__ == '__main__':
    gates, failed = [symlink, modules_have_notebooks, layering, globals_exist, docstrings, outputs, words_for_pictures, nothing_left_open, numbers_once, assets, light_import, no_device], 0
    for g in gates:
        bad = g(); failed += bool(bad)
        print('FAILED' if bad else 'passed', g.__name__, *bad, sep='\n    ' if bad else ' ')
    print(f'{len(gates) - failed} passed, {failed} failed'); sys.exit(bool(failed))
