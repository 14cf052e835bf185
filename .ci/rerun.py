"""Run notebooks from top to bottom and store what they show.

Usage: .ci/rerun.py [NOTEBOOK ...]         without names: every notebook under nbs/
       .ci/rerun.py --slow [NOTEBOOK ...]  also the cells marked `#| slow`; without it they keep the outputs that they have, as those marked `#| notest` always do
       .ci/rerun.py --check [NOTEBOOK ...] store nothing; list the cells whose stored outputs are no longer what they show

Each notebook has a process of its own. Exit status 1 if a cell raises; its notebook is then unchanged.
"""
import os, subprocess, sys
from pathlib import Path

def one(path, slow, check):
    "Run one notebook in this process"
    os.environ.setdefault('MPLBACKEND', 'module://matplotlib_inline.backend_inline')
    from fastcore.nbio import read_nb, write_nb
    from diffnb.book import changed_outputs, run_again
    from diffnb.core import BadInput
    try: nb = run_again(path, slow)
    except (RuntimeError, BadInput) as e: print(e); return 1
    if check:
        for cell, what in changed_outputs(read_nb(path), nb): print(f'{path.name} {cell}: {what}')
    else: write_nb(nb, path)
    return 0

if __name__ == '__main__':
    flags, names = {a for a in sys.argv[1:] if a.startswith('--')}, [a for a in sys.argv[1:] if not a.startswith('--')]
    if flags - {'--slow', '--check', '--one'}: sys.exit(__doc__)
    if '--one' in flags: sys.exit(one(Path(names[0]), '--slow' in flags, '--check' in flags))
    paths = [Path(n).resolve() for n in names] or sorted((Path(__file__).resolve().parent.parent/'nbs').rglob('[!_.]*.ipynb'))
    bad, said = [], 0
    for p in paths:
        done = subprocess.run([sys.executable, __file__, '--one', *flags, str(p)], stdout=subprocess.PIPE, text=True)
        print(done.stdout, end='', flush=True)
        if done.returncode: bad.append(p.name)
        else: said += len(done.stdout.splitlines()) if '--check' in flags else 0
    what = f'checked, {said} outputs differ from what is stored' if '--check' in flags else 're-run'
    print(f'{len(paths)-len(bad)} {what}, {len(bad)} failed', *bad); sys.exit(bool(bad))
