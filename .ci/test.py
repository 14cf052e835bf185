#!/usr/bin/env python3
"""Run pages as nbdev_test does, several at a time, and time every cell.

Usage: .ci/test.py [PAGE ...]         fast cells: all that nbdev_test runs; without names, of every page
       .ci/test.py --slow [PAGE ...]  also cells marked `#| slow`; without names, of pages that are due and some others
       .ci/test.py --all              also cells marked `#| slow`, of every page that has some
       .ci/test.py --selftest         check how pages are chosen and judged, with known answers

Options: --budget SECONDS  for --slow and --all without names: pages that do not fit are named and left for another run
         --jobs N          pages at a time, two without
         --write           put what passed into .ci/record.json
         --store           put what the cells of pages that passed showed into the notebooks
         --speed FILE      how fast this machine is: written by a run of all fast cells, read by other runs
         --plan            print which slow cells would run, and why, and stop

.ci/record.json has, for each page, the seconds of its fast and its slow cells, the seconds of each cell that takes more
than five, and hashes of the code under which its slow cells last passed. A page's slow cells are due when the code of
the page, or of a module that it imports, directly or not, has another hash now.

A page has one thread. Where slow cells measure time, or start processes, their page runs alone and has two.

A page fails if a cell raises, or if the page or a cell took more than three times its recorded seconds and 20 seconds
more, after allowing for the speed of the machine. The last line is 'N passed, N failed'; exit status 1 if one failed.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import plan
from pages import TOP, Modules, Page, hashes, pages

RECORD = TOP/'.ci/record.json'
LONG = 5.      # seconds from which on a cell has its own line in the record
LIMIT = 2400   # seconds after which a page is stopped
FILL = .9      # share of the budget that is planned, since two pages seldom end together
TURNS = 300    # seconds for pages that are not due, which take turns
STALE = 'stored outputs that are no longer what cells show (no failure, as another type of CPU rounds otherwise):'


# One page

def run_here(path, slow, result, store):
    "Run one page in this process with nbdev's own test, write what was seen to the file `result`, and store outputs"
    os.environ.setdefault('MPLBACKEND', 'module://matplotlib_inline.backend_inline')
    from book import changed_outputs, stored
    from execnb.shell import CaptureShell
    from fastcore.nbio import read_nb, write_nb
    from nbdev.config import get_config
    from nbdev.test import test_nb
    seen, ran, config, run_cell, opened = [], {}, get_config(), CaptureShell.cell, CaptureShell.__init__

    def timed(shell, cell, **kwargs):
        began = time.perf_counter()
        try: return run_cell(shell, cell, **kwargs)
        finally:
            seen.append(dict(id=cell.id, seconds=time.perf_counter() - began, slow='slow' in cell.directives_))
            ran[cell.id] = cell

    CaptureShell.cell = timed
    CaptureShell.__init__ = lambda shell, path=None, **kw: opened(shell, path, **{'mpl_format': 'png', **kw})
    flags = dict(skip_flags=config.tst_flags.split(), force_flags=['slow'] if slow else [])
    passed, _ = test_nb(path, **flags, basepath=config.config_path)
    before, after = read_nb(path), read_nb(path)
    for cell in after.cells:
        if cell.get('id') in ran: cell.outputs = stored(ran[cell.id].get('outputs', []))
    differs = [f'{cell}: {what}' for cell, what in changed_outputs(before, after)] if passed else []
    if store and passed: write_nb(after, path)
    Path(result).write_text(json.dumps(dict(passed=bool(passed), cells=seen, differs=differs)), encoding='utf8')


def run_page(page, slow, threads, store=False):
    "Run a page in a process of its own: {passed, seconds, cells, differs, said}"
    env = {**os.environ, 'OMP_NUM_THREADS': str(threads)}
    with tempfile.TemporaryDirectory() as d:
        result, log, began, late = Path(d)/'result', Path(d)/'log', time.perf_counter(), ''
        more = [f'--{flag}' for flag, on in dict(slow=slow, store=store).items() if on]
        command = [sys.executable, __file__, '--one', str(page.path), str(result), *more]
        with log.open('wb') as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env,
                                       cwd=TOP/'nbs', start_new_session=True)
            try: process.wait(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                late = f'\nstopped after {LIMIT} seconds'
        nothing = dict(passed=False, cells=[], differs=[])
        found = json.loads(result.read_text(encoding='utf8')) if result.exists() else nothing
        said = log.read_text(encoding='utf8', errors='replace') + late
        return dict(found, seconds=time.perf_counter() - began, said=said)


def page_seconds(done, slow):
    "Seconds of a page's slow cells, or of its fast ones"
    return sum(c['seconds'] for c in done['cells'] if c['slow'] == slow)


def first_line(page, cell): return next((c.first_line for c in page.cells if c.id == cell), '')


def show(page, done):
    "A line about a page; if it failed, also the cell and what it said"
    print(f"{'passed' if done['passed'] else 'FAILED'}  {done['seconds']:6.1f} s  {page.name}", flush=True)
    if done['passed']: return
    last = done['cells'][-1]['id'] if done['cells'] else None
    print(f'    in cell {last}: {first_line(page, last)}' if last else '    before its first cell ended')
    print(done['said'][-6000:], flush=True)


# Many pages

def run_all(chosen, slow, jobs, store=False, may_start=lambda page: True, noted=lambda page, found: None):
    """Run pages; ({name: what was seen}, names of pages that were not started); `noted` gets each page as it ends

    Pages that share the machine run first, several at a time; pages that are alone run after them, one by one.
    """
    done, left = {}, []
    alone = [p for p in chosen if slow and p.alone]
    run = lambda page, threads: run_page(page, slow, threads, store) if may_start(page) else None

    def keep(page, found):
        if found is None: left.append(page.name); return
        done[page.name] = found
        show(page, found)
        noted(page, found)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = {pool.submit(run, p, 1): p for p in chosen if p not in alone}
        for r in concurrent.futures.as_completed(runs): keep(runs[r], r.result())
    for p in alone: keep(p, run(p, min(2, os.cpu_count() or 1)))
    return done, left


def choose_slow(found, record, day, budget, speed, jobs, turns):
    "(pages to run, {name: why it is due}, names left, {name: expected seconds}) for slow cells; prints the plan"
    by_name, modules = {p.name: p for p in found if p.slow}, Modules()
    why = {n: plan.why_due(record.get(n), hashes(p, modules)) for n, p in by_name.items()}
    due = {n: w for n, w in why.items() if w}
    seconds = {n: plan.expected(record.get(n), len(p.slow), speed) for n, p in by_name.items()}
    alone = {n for n, p in by_name.items() if p.alone}
    others = plan.order({}, [n for n in by_name if n not in due], day)
    taken, left, used = plan.fitting(plan.order(due, [], day), seconds, alone, FILL*budget, jobs)
    more, later, turn = plan.fitting(others, seconds, alone, min(turns, FILL*budget - used), jobs)
    taken, left, used = taken + more, left + later, used + turn
    limit = f' of {budget:.0f} s' if budget < float('inf') else ''
    rest = len(by_name) - len(due)
    print(f'slow cells: {len(due)} pages are due, {rest} others take turns; about {used:.0f} s{limit}')
    for n in taken: print(f"    {seconds[n]:6.0f} s  {n} ({due.get(n, 'its turn')})", flush=True)
    return [by_name[n] for n in taken], due, left, seconds


def too_slow(done, record, slow, speed):
    "What became much slower, in words: {page: [message]}"
    part, found = ('slow' if slow else 'fast'), {}
    known = {n: record[n] for n in done if part in record.get(n, {})}
    now, before = {n: page_seconds(done[n], slow) for n in known}, {n: r[part] for n, r in known.items()}
    slow_pages = plan.slower(now, before, speed)
    for n, r in known.items():
        cells, usual = {c['id']: c['seconds'] for c in done[n]['cells'] if c['slow'] == slow}, r.get('cells', {})
        if n in slow_pages:
            worst = max(cells, key=lambda c: cells[c] - usual.get(c, 0)*speed)   # noqa: B023
            took, expected = slow_pages[n]
            found[n] = [f'its {part} cells took {took:.0f} s instead of {expected:.0f} s, most of all cell {worst}']
        for c, (took, expected) in plan.slower(cells, usual, speed).items():
            found.setdefault(n, []).append(f'cell {c} took {took:.0f} s instead of {expected:.0f} s')
    return found


# The record

def updated(entry, page, done, slow, code, today):
    "A page's entry after a run in which it passed: what was run now replaces what was known of the same cells"
    part, marked = ('slow' if slow else 'fast'), {c.id: 'slow' in c.directives for c in page.cells}
    kept = {i: s for i, s in entry.get('cells', {}).items() if i in marked and marked[i] != slow}
    timed = {c['id']: round(c['seconds'], 1) for c in done['cells'] if c['slow'] == slow and c['seconds'] >= LONG}
    new = {**entry, part: round(page_seconds(done, slow), 1), 'cells': dict(sorted({**kept, **timed}.items()))}
    return {**new, **code, 'passed': today} if slow else new


def read_record(): return json.loads(RECORD.read_text(encoding='utf8')) if RECORD.exists() else {}


def write_record(record, done, slow):
    "Put what passed into the record, and drop pages that are gone"
    modules, today = Modules(), datetime.date.today().isoformat()
    for n, d in done.items():
        page = Page(TOP/n)
        if d['passed']: record[n] = updated(record.get(n, {}), page, d, slow, hashes(page, modules), today)
    kept = {n: r for n, r in sorted(record.items()) if (TOP/n).exists()}
    whole = RECORD.with_suffix('.part')            # other pages read the record while they run
    whole.write_text(json.dumps(kept, indent=1) + '\n', encoding='utf8')
    whole.replace(RECORD)


# The command

def summary(done, by_name):
    "Print the slowest cells, and stored outputs that differ"
    cells = sorted(((c['seconds'], n, c['id']) for n, d in done.items() for c in d['cells']), reverse=True)[:10]
    print('the slowest cells:')
    for s, n, i in cells: print(f'    {s:6.1f} s  {n} {i}  {first_line(by_name[n], i)[:70]}')
    differs = [f'    {n} {what}' for n, d in done.items() for what in d['differs']]
    if differs: print(STALE, *differs, sep='\n')


def speed_now(a, done, record):
    "How many times the recorded seconds this machine takes; a run of all fast cells writes it down"
    if a.slow and a.speed and a.speed.exists(): return float(a.speed.read_text())
    part = 'slow' if a.slow else 'fast'
    now = {n: page_seconds(d, a.slow) for n, d in done.items() if d['passed']}
    speed = plan.machine_speed(now, {n: r[part] for n, r in record.items() if part in r})
    if a.speed and not a.slow and not a.pages: a.speed.write_text(str(speed))
    return speed


def options():
    "The command line"
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument('pages', nargs='*')
    flags = 'slow', 'all', 'write', 'store', 'plan', 'selftest', 'one', 'help'
    for flag in flags: p.add_argument(f'--{flag}', action='store_true')
    p.add_argument('--budget', type=float, default=float('inf'))
    p.add_argument('--jobs', type=int, default=2)
    p.add_argument('--speed', type=Path)
    a = p.parse_args()
    a.slow |= a.all | a.plan
    return a


def judge(a, done, record):
    "Print which pages failed or became slow; how many did"
    bad, speed = {n for n, d in done.items() if not d['passed']}, speed_now(a, done, record)
    if speed != 1: print(f'this machine takes {speed:.2f} times the recorded seconds')
    for n, words in too_slow({n: d for n, d in done.items() if n not in bad}, record, a.slow, speed).items():
        bad.add(n)
        for w in words: print(f'FAILED  {n} became slow: {w}')
    return len(bad)


def main():
    "Run what the command line asks for; exit status"
    a, began, record = options(), time.monotonic(), read_record()
    if a.help: print(__doc__); return 0
    if a.selftest: import selftest; return selftest.main()
    if a.one: run_here(Path(a.pages[0]), a.slow, a.pages[1], a.store); return 0
    chosen = found = pages(a.pages)
    due, left, may_start = {}, [], lambda page: True
    if a.slow and not a.pages:
        speed = float(a.speed.read_text()) if a.speed and a.speed.exists() else 1.
        day = datetime.date.today().toordinal()
        turns = float('inf') if a.all else TURNS
        chosen, due, left, seconds = choose_slow(found, record, day, a.budget, speed, a.jobs, turns)
        may_start = lambda page: time.monotonic() - began + seconds[page.name] <= a.budget
    noted = lambda page, seen: write_record(fresh, {page.name: seen}, a.slow) if a.write else None
    fresh = dict(record)
    done, also_left = ({}, []) if a.plan else run_all(chosen, a.slow, a.jobs, a.store, may_start, noted)
    if done: summary(done, {p.name: p for p in found})
    failed = judge(a, done, record)
    left += also_left
    for n in left: print(f"left for another run: {n}, about {seconds[n]:.0f} s ({due.get(n, 'not due')})")
    failed_all = failed + (len(left) if a.all else 0)   # all were asked for
    print(f'{len(done) - failed} passed, {failed_all} failed')
    return int(failed_all > 0)


if __name__ == '__main__': sys.exit(main())
