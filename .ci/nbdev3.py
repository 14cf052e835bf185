#!/usr/bin/env python3
"""Check that nbdev 3 exports the same modules as nbdev 2.4, byte for byte.

Usage: .ci/nbdev3.py PYTHON     PYTHON is one in whose environment nbdev 3 is installed

Two differences of _modidx.py are allowed: its settings entry, since nbdev 3 reads pyproject.toml, which has no
addresses, and modules that define no function or class, which nbdev 3 leaves out.
"""
import ast
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pages import PACKAGE, TOP


def content(path):
    "A file's bytes; of _modidx.py where the functions and classes of each module are"
    if path.name != '_modidx.py': return path.read_bytes()
    said = ast.literal_eval(ast.parse(path.read_text(encoding='utf8')).body[-1].value)
    return {module: names for module, names in said['syms'].items() if names}


def differences(ours, theirs):
    "Names of modules that only one of two folders has, or whose content differs"
    found = []
    names = {p.relative_to(f).as_posix() for f in (ours, theirs) for p in f.rglob('*.py')}
    for n in sorted(names):
        a, b = ours/n, theirs/n
        if not b.exists(): found.append(f'{n}, which nbdev 3 does not export')
        elif not a.exists(): found.append(f'{n}, which only nbdev 3 exports')
        elif content(a) != content(b): found.append(n)
    return found


def main(python):
    "Export in a copy of the checkout and compare; exit status"
    with tempfile.TemporaryDirectory() as d:
        copy = Path(d)/'copy'
        others = shutil.ignore_patterns('.git', '_docs', '_proc*', 'build', '__pycache__')
        shutil.copytree(TOP, copy, ignore=others, symlinks=True)
        made = [p for p in (copy/PACKAGE).rglob('*.py') if p.name != '__init__.py']
        for p in made: p.unlink()
        subprocess.run([Path(python).with_name('nbdev-export')], cwd=copy, check=True)
        found = differences(TOP/PACKAGE, copy/PACKAGE)
    print(*(f'differs: {f}' for f in found), f'{len(made)} modules, {len(found)} differ', sep='\n')
    return int(bool(found) or not made)


if __name__ == '__main__': sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
