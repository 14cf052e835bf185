"""Open every page of the built site in Chromium, as wide as a phone and as a screen.

Usage: .ci/browse.py [PICTURES]     exit status 1 if a page writes an error to the console or is wider than the window; with a folder, a picture of each page goes there
Needs pip install playwright, and Chromium (Debian's and Ubuntu's package chromium, or CHROMIUM=path).
"""
import os, shutil, sys
from pathlib import Path
from playwright.sync_api import sync_playwright

docs = Path(__file__).resolve().parent.parent/'_docs'
browser_at = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which('chromium-browser')
pictures, bad, seen = Path(sys.argv[1]) if sys.argv[1:] else None, [], 0
if not browser_at or not (docs/'index.html').exists(): sys.exit('no Chromium on this machine, or no site in _docs: run .ci/docs first')
with sync_playwright() as p:
    browser = p.chromium.launch(executable_path=browser_at, args=['--no-sandbox', '--disable-gpu', '--disable-background-networking'])
    for width in (360, 1280):
        page = browser.new_page(viewport=dict(width=width, height=900))
        said = []
        page.on('console', lambda m: said.append(m.text) if m.type == 'error' else None)
        page.on('pageerror', lambda e: said.append(str(e)))
        for f in sorted(docs.rglob('*.html')):
            said.clear(); seen += 1
            page.goto(f.as_uri()); page.wait_for_load_state('load')
            wide = page.evaluate('document.documentElement.scrollWidth') - page.evaluate('window.innerWidth')
            name = f.relative_to(docs).as_posix()
            if wide > 0:
                what = page.evaluate('''() => [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest('pre, table, math')).slice(0, 3).map(e => e.tagName + '.' + e.className + ' ' + (e.textContent || '').slice(0, 40))''')
                bad.append(f'{name} at {width}: {wide} pixels too wide: {what}')
            bad += [f'{name} at {width}: {m}' for m in said]
            if pictures: (pictures/f'{width}').mkdir(parents=True, exist_ok=True); page.screenshot(path=pictures/f'{width}'/(name.replace('/', '_')[:-5] + '.png'), full_page=True)
        page.close()
    browser.close()
for b in bad: print(b)
print(f'{seen} openings, {len(bad)} faults'); sys.exit(bool(bad))
