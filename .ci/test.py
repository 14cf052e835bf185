#!/usr/bin/env python3
"""Run pages as nbdev_test does, several at a time, and time every cell.

Usage: .ci/test.py [PAGE ...]            fast cells: all that nbdev_test runs; without names, of every page
       .ci/test.py --slow [PAGE ...]     also cells marked `#| slow`; without names, of the pages that are due and of some others
       .ci/test.py --slow --all          also cells marked `#| slow`, of every page that has some
       .ci/test.py --selftest            check how pages are chosen and judged, with known answers

Options: --budget SECONDS  for --slow without names: pages that do not fit are named and left for another run
         --jobs N          pages at a time, two without; each has one thread, or two where its slow cells measure time, which run alone
         --write           put what passed into .ci/record.json: seconds of pages and long cells, and under which code slow cells passed
         --speed FILE      read this machine's speed from the file if it is there; a run of all fast cells writes it
         --plan            print what --slow would run, and why, and stop

A page's slow cells are due when the page's own code, or code of a module that it imports, directly or not, is no longer what .ci/record.json has.
A page or cell fails if it took more than three times its recorded seconds and 20 seconds more, the machine's speed apart.
The last line is 'N passed, N failed'; exit status 1 if one failed.
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
LONG = 5.   # seconds from which on a cell has its own line in the record
LIMIT = 2400   # seconds after which a page is stopped


def run_here(path, slow, result):
    "Run one page in this process with nbdev's own test, and write what was seen to the file `result`"
    os.environ.setdefault('MPLBACKEND', 'module://matplotlib_inline.backend_inline')
    from execnb.shell import CaptureShell
    from nbdev.config import get_config
    from nbdev.test import test_nb
    from book import changed_outputs, stored
    from fastcore.nbio import read_nb
    seen, ran, config, original = [], {}, get_config(), CaptureShell.cell
    opened = CaptureShell.__init__

    def timed(shell, cell, **kwargs):
        began = time.perf_counter()
        try: return original(shell, cell, **kwargs)
        finally:
            seen.append(dict(id=cell.id, seconds=time.perf_counter() - began, slow='slow' in cell.directives_))
            ran[cell.id] = cell

    CaptureShell.cell = timed
    CaptureShell.__init__ = lambda shell, path=None, **kwargs: opened(shell, path, **{'mpl_format': 'png', **kwargs})   # as .ci/rerun.py
    passed, _ = test_nb(path, skip_flags=config.tst_flags.split(), force_flags=['slow'] if slow else [], basepath=config.config_path)
    before, after = read_nb(path), read_nb(path)
    for cell in after.cells:
        if cell.get('id') in ran: cell.outputs = stored(ran[cell.id].get('outputs', []))
    differs = [f'{cell}: {what}' for cell, what in changed_outputs(before, after)] if passed else []
    Path(result).write_text(json.dumps(dict(passed=bool(passed), cells=seen, differs=differs)), encoding='utf8')


def run_page(page, slow, threads):
    "Run a page in a process of its own: {passed, seconds, cells, differs, said}"
    env = {**os.environ, 'OMP_NUM_THREADS': str(threads)}
    with tempfile.TemporaryDirectory() as d:
        result, log, began = Path(d)/'result', Path(d)/'log', time.perf_counter()
        command = [sys.executable, __file__, '--one', str(page.path), str(result), *(['--slow'] if slow else [])]
        with log.open('wb') as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env,
                                       cwd=TOP/'nbs', start_new_session=True)
            try: process.wait(timeout=LIMIT); late = ''
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL); process.wait()
                late = f'\nstopped after {LIMIT} seconds'
        found = json.loads(result.read_text(encoding='utf8')) if result.exists() else dict(passed=False, cells=[], differs=[])
        return dict(found, seconds=time.perf_counter() - began, said=log.read_text(encoding='utf8', errors='replace') + late)


def page_seconds(done, slow): return sum(c['seconds'] for c in done['cells'] if c['slow'] == slow)


def too_slow(done, record, slow, speed):
    "What became much slower, in words: {page: [message]}"
    part = 'slow' if slow else 'fast'
    known = {n: record[n] for n in done if part in record.get(n, {})}
    slow_pages = plan.slower({n: page_seconds(done[n], slow) for n in known}, {n: r[part] for n, r in known.items()}, speed)
    found = {}
    for n, r in known.items():
        now = {c['id']: c['seconds'] for c in done[n]['cells'] if c['slow'] == slow}
        if n in slow_pages:
            worst = max(now, key=lambda c: now[c] - r.get('cells', {}).get(c, 0)*speed)
            took, usual = slow_pages[n]
            found.setdefault(n, []).append(f'its {part} cells took {took:.0f} s instead of {usual:.0f} s; most of that is cell {worst}')
        for c, (took, usual) in plan.slower(now, r.get('cells', {}), speed).items():
            found.setdefault(n, []).append(f'cell {c} took {took:.0f} s instead of {usual:.0f} s')
    return found


def updated(entry, page, done, slow, code, today):
    "A page's entry in the record after a run in which it passed: what was run now replaces what was known of the same cells"
    part, marked = ('slow' if slow else 'fast'), {c.id: 'slow' in c.directives for c in page.cells}
    kept = {i: s for i, s in entry.get('cells', {}).items() if i in marked and marked[i] != slow}
    timed = {c['id']: round(c['seconds'], 1) for c in done['cells'] if c['slow'] == slow and c['seconds'] >= LONG}
    new = {**entry, part: round(page_seconds(done, slow), 1), 'cells': dict(sorted({**kept, **timed}.items()))}
    return {**new, **code, 'passed': today} if slow else new


def read_record(): return json.loads(RECORD.read_text(encoding='utf8')) if RECORD.exists() else {}


def write_record(record, done, slow, modules, today):
    "Put what passed into the record, and drop pages that are gone"
    for n, d in done.items():
        page = Page(TOP/n)
        if d['passed']: record[n] = updated(record.get(n, {}), page, d, slow, hashes(page, modules), today)
    kept = {n: r for n, r in sorted(record.items()) if (TOP/n).exists()}
    RECORD.write_text(json.dumps(kept, indent=1) + '\n', encoding='utf8')


def show(name, done, page):
    "A line about a page, and what it said if it failed"
    print(f"{'passed' if done['passed'] else 'FAILED'}  {done['seconds']:6.1f} s  {name}", flush=True)
    if not done['passed']:
        last = done['cells'][-1]['id'] if done['cells'] else None
        line = next((c.first_line for c in page.cells if c.id == last), '')
        print(f'    in cell {last}: {line}' if last else '    before its first cell', done['said'][-6000:], sep='\n', flush=True)


def run_all(chosen, slow, jobs, until=None, guess=None):
    "Run pages: those that share the machine side by side first, then one by one those that are alone; {name: what was seen}, names left"
    done, left = {}, []
    late = lambda page: until is not None and time.monotonic() + guess[page.name] > until

    def one(page, threads):
        if late(page): return None
        return run_page(page, slow, threads)

    def keep(page, found):
        if found is None: left.append(page.name); return
        done[page.name] = found; show(page.name, found, page)

    alone = [p for p in chosen if slow and p.alone]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = {pool.submit(one, p, 1): p for p in chosen if p not in alone}
        for r in concurrent.futures.as_completed(runs): keep(runs[r], r.result())
    for p in alone: keep(p, one(p, min(2, os.cpu_count() or 1)))
    return done, left


def chosen_slow(found, record, modules, day, budget, speed, jobs):
    "(pages to run, {name: why it is due}, names left, {name: expected seconds}) of a run of slow cells"
    by_name = {p.name: p for p in found if p.slow}
    now = {n: hashes(p, modules) for n, p in by_name.items()}
    due = {n: why for n in by_name if (why := plan.why_due(record.get(n), now[n]))}
    seconds = {n: plan.expected(record.get(n), len(p.slow), speed) for n, p in by_name.items()}
    names = plan.order(due, [n for n in by_name if n not in due], day)
    taken, left, used = plan.fitting(names, seconds, {n for n, p in by_name.items() if p.alone}, budget, jobs)
    print(f'slow cells: {len(due)} pages are due, {len(by_name) - len(due)} others take turns'
          + (f'; {budget:.0f} s are there, {used:.0f} s planned' if budget < float('inf') else f'; about {used:.0f} s'))
    for n in taken: print(f"    {seconds[n]:6.0f} s  {n}  ({due.get(n, 'its turn')})")
    return [by_name[n] for n in taken], due, left, seconds


def summary(done, by_name):
    "Print the slowest cells, and stored outputs that differ"
    cells = sorted(((c['seconds'], n, c['id']) for n, d in done.items() for c in d['cells']), reverse=True)[:10]
    print('the slowest cells:')
    for s, n, i in cells: print(f"    {s:6.1f} s  {n} {i}  {next((c.first_line for c in by_name[n].cells if c.id == i), '')[:70]}")
    differs = [f'    {n} {what}' for n, d in done.items() for what in d['differs']]
    if differs: print('stored outputs that are no longer what cells show (another type of CPU rounds otherwise, so this is no failure):', *differs, sep='\n')


def selftest():
    "Known answers for everything that decides"
    import selftest as known
    return known.main()


def main():
    "Run what the command line asks for; exit status"
    p = argparse.ArgumentParser(usage=__doc__, add_help=False)
    p.add_argument('pages', nargs='*')
    for flag in ('slow', 'all', 'write', 'plan', 'selftest', 'one', 'help'): p.add_argument(f'--{flag}', action='store_true')
    p.add_argument('--budget', type=float, default=float('inf'))
    p.add_argument('--jobs', type=int, default=2)
    p.add_argument('--speed', type=Path)
    a = p.parse_args()
    if a.help: print(__doc__); return 0
    if a.selftest: return selftest()
    if a.one: run_here(Path(a.pages[0]), a.slow, a.pages[1]); return 0
    began, record, modules = time.monotonic(), read_record(), Modules()
    found = pages(a.pages)
    by_name = {p.name: p for p in found}
    speed = float(a.speed.read_text()) if a.speed and a.speed.exists() else 1.
    left, seconds, due, until = [], None, {}, None
    slow, chosen = a.slow or a.all, found
    if slow and not a.pages:
        day = datetime.date.today().toordinal()
        chosen, due, left, seconds = chosen_slow(found, record, modules, day, a.budget, speed, a.jobs)
        if a.budget < float('inf'): until = began + 1.25*a.budget
        if a.plan: print('left for another run:', *left, sep='\n    '); return 0
    done, also_left = run_all(chosen, slow, a.jobs, until, seconds)
    if not slow or speed == 1.:
        part = 'slow' if slow else 'fast'
        speed = plan.machine_speed({n: page_seconds(d, slow) for n, d in done.items() if d['passed']},
                                   {n: r[part] for n, r in record.items() if part in r})
    if a.speed and not slow and not a.pages: a.speed.write_text(str(speed))
    if done: summary(done, by_name)
    print(f'this machine takes {speed:.2f} times the recorded seconds')
    for n in (left := left + also_left): print(f"left for another run: {n}, about {seconds[n]:.0f} s ({due.get(n, 'not due')})")
    bad = {n for n, d in done.items() if not d['passed']}
    for n, words in too_slow({n: d for n, d in done.items() if n not in bad}, record, slow, speed).items():
        bad.add(n)
        for w in words: print(f'FAILED  {n} became slow: {w}')
    if a.write: write_record(record, done, slow, modules, datetime.date.today().isoformat())
    missed = len(left) if a.all else 0   # all were asked for
    print(f'{len(done) - len(bad)} passed, {len(bad) + missed} failed')
    return int(bool(bad) or missed > 0)


if __name__ == '__main__': sys.exit(main())
