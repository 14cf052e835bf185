#!/usr/bin/env python3
"""Run notebooks from top to bottom and store what they show.

Usage: .ci/rerun.py [NOTEBOOK ...]          without names: every notebook under nbs/
       .ci/rerun.py --slow [NOTEBOOK ...]   also the cells marked `#| slow`
       .ci/rerun.py --check [NOTEBOOK ...]  store nothing; list cells whose stored outputs are no longer what they show
       .ci/rerun.py --jobs N [NOTEBOOK ...] N notebooks at a time, one without

Cells that are not run keep the outputs that they have. Those that nbdev_test leaves out are never run: cells marked
`#| notest` or `#| eval: false`, and pages with `skip_exec: true`. Each notebook has a process of its own, with one
thread, or with all of them under --slow. Exit status 1 if a cell raises; its notebook is then unchanged.
"""
import argparse
import concurrent.futures
import os
import subprocess
import sys
import time
from pathlib import Path

from pages import TOP, pages


def run_here(path, slow, check):
    "Run one notebook in this process; exit status"
    os.environ.setdefault('MPLBACKEND', 'module://matplotlib_inline.backend_inline')
    from book import changed_outputs, run_again
    from fastcore.nbio import read_nb, write_nb
    sys.path.insert(0, str(TOP))   # this checkout's modules, wherever diffnb is installed from
    try: nb = run_again(path, slow)
    except (RuntimeError, ValueError) as e: print(e); return 1
    if check:
        for cell, what in changed_outputs(read_nb(path), nb): print(f'    {cell}: {what}')
    else: write_nb(nb, path)
    return 0


def run_apart(page, slow, check):
    "Run one notebook in a process of its own: (exit status, what it said, seconds)"
    flags = [flag for flag, on in (('--slow', slow), ('--check', check)) if on]
    env, began = {**os.environ, **({} if slow else {'OMP_NUM_THREADS': '1'})}, time.perf_counter()
    done = subprocess.run([sys.executable, __file__, '--one', *flags, str(page.path)], env=env, cwd=TOP,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout, time.perf_counter() - began


def main():
    "Run what the command line asks for; exit status"
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument('notebooks', nargs='*')
    for flag in ('slow', 'check', 'one', 'help'): p.add_argument(f'--{flag}', action='store_true')
    p.add_argument('--jobs', type=int, default=1)
    a = p.parse_args()
    if a.help: print(__doc__); return 0
    if a.one: return run_here(Path(a.notebooks[0]), a.slow, a.check)
    bad, differ, chosen = [], 0, pages(a.notebooks)
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        runs = {pool.submit(run_apart, page, a.slow, a.check): page for page in chosen}
        for i, run in enumerate(concurrent.futures.as_completed(runs), 1):
            (status, said, seconds), page = run.result(), runs[run]
            print(f'{i} of {len(chosen)}  {seconds:6.1f} s  {page.name}' + ('  FAILED' if status else ''))
            print(said, end='', flush=True)
            if status: bad.append(page.name)
            elif a.check: differ += len(said.splitlines())
    what = f'checked, {differ} outputs differ from what is stored' if a.check else 'run and stored'
    print(f'{len(chosen) - len(bad)} {what}, {len(bad)} failed', *bad)
    return int(bool(bad))


if __name__ == '__main__': sys.exit(main())
