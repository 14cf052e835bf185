#!/usr/bin/env python3
"""Open every page of the built site in Chromium, as wide as a phone and as a screen.

Usage: .ci/browse.py [FOLDER]     with a folder, a picture of each page goes there

Exit status 1 if a page writes an error to the console or is wider than the window. Needs pip install playwright, and
Chromium (Debian's and Ubuntu's package chromium, or CHROMIUM=path).
"""
import os
import shutil
import sys
from pathlib import Path

from pages import TOP
from playwright.sync_api import sync_playwright

DOCS, WIDTHS = TOP/'_docs', (390, 1280)
TOO_WIDE = 'document.documentElement.scrollWidth - window.innerWidth'
CULPRITS = '''() => [...document.querySelectorAll('main *')]
    .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest('pre, table, math'))
    .slice(0, 3).map(e => e.tagName + '.' + e.className + ' ' + (e.textContent || '').slice(0, 40))'''


def faults_at(browser, width, pictures):
    "What is wrong with each page in a window of this width; how many pages were opened"
    page, said, bad = browser.new_page(viewport=dict(width=width, height=900)), [], []
    page.on('console', lambda m: said.append(m.text) if m.type == 'error' else None)
    page.on('pageerror', lambda e: said.append(str(e)))
    files = sorted(DOCS.rglob('*.html'))
    for f in files:
        said.clear()
        page.goto(f.as_uri())
        page.wait_for_load_state('load')
        name, wide = f.relative_to(DOCS).as_posix(), page.evaluate(TOO_WIDE)
        if wide > 0: bad.append(f'{name} at {width}: {wide} pixels too wide: {page.evaluate(CULPRITS)}')
        bad += [f'{name} at {width}: {m}' for m in said]
        if pictures:
            (pictures/str(width)).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=pictures/str(width)/(name.replace('/', '_')[:-5] + '.png'), full_page=True)
    page.close()
    return bad, len(files)


def main(pictures):
    "Open all pages at all widths; exit status"
    at = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which('chromium-browser')
    if not at or not (DOCS/'index.html').exists():
        sys.exit('no Chromium on this machine, or no site in _docs: run .ci/docs first')
    flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=at, args=flags)
        found = [faults_at(browser, width, pictures) for width in WIDTHS]
        browser.close()
    bad = [b for faults, _ in found for b in faults]
    print(*bad, f'{sum(n for _, n in found)} openings, {len(bad)} faults', sep='\n')
    return int(bool(bad))


if __name__ == '__main__': sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else None))
