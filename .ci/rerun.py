"""Run notebooks from top to bottom and store what they show.

Usage: .ci/rerun.py [NOTEBOOK ...]         without names: every notebook under nbs/
       .ci/rerun.py --slow [NOTEBOOK ...]  also the cells marked `#| slow` or `#| notest`; without it they keep the outputs that they have

Pictures are stored as PNG, progress on stderr is dropped, and a cell that raises ends the run with exit status 1, its notebook unchanged.
"""
import os, re, sys
from pathlib import Path
os.environ.setdefault('MPLBACKEND', 'module://matplotlib_inline.backend_inline')
from fastcore.nbio import read_nb, write_nb
from execnb.shell import CaptureShell

def skipped(cell, slow):
    "A cell that is not run keeps the outputs that it has."
    first = ''.join(cell.source).lstrip().splitlines()[:2]
    flags = {m[1] for l in first if (m := re.match(r'#\s*\|\s*(\w+)', l))}
    return cell.cell_type != 'code' or bool(flags & {'notest', 'slow'} and not slow)

def once(output):
    "A PIL picture shows itself as PNG and as JPEG; one is enough"
    if 'image/png' in output.get('data', {}): output['data'].pop('image/jpeg', None)
    return output

def rerun(path, slow=False):
    nb = read_nb(path)
    shell = CaptureShell(path.parent, mpl_format='png')
    os.chdir(path.parent)
    for cell in nb.cells:
        if skipped(cell, slow): continue
        cell.outputs = []
        shell.cell(cell)
        if shell.exc: print(shell.prettytb(path.name)); return False
        cell.outputs = [once(o) for o in cell.outputs if o.get('name') != 'stderr']
    write_nb(nb, path)
    return True

if __name__ == '__main__':
    args = sys.argv[1:]; slow = '--slow' in args; names = [a for a in args if a != '--slow']
    paths = [Path(n).resolve() for n in names] or sorted((Path(__file__).resolve().parent.parent/'nbs').rglob('[!_.]*.ipynb'))
    bad = []
    for p in paths:
        here = os.getcwd()
        if not rerun(p, slow): bad.append(p.name)
        os.chdir(here)
    print(f'{len(paths)-len(bad)} re-run, {len(bad)} failed', *bad); sys.exit(bool(bad))
