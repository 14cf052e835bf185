#!/usr/bin/env python3
"""Open every page of the built site in Chromium, as wide as a phone and as a screen, in the light and the dark theme.

Usage: .ci/browse.py [FOLDER]     with a folder, a picture of each page goes there

Exit status 1 if a page writes an error to the console, is wider than the window, or has text with a contrast below 4.5
(WCAG 2.2, 1.4.3). Needs pip install playwright, and Chromium (Debian's and Ubuntu's package chromium, or CHROMIUM=path).
"""
import os
import shutil
import sys
from pathlib import Path

from pages import TOP
from playwright.sync_api import sync_playwright

DOCS, WIDTHS, THEMES = TOP/'_docs', (390, 1280), ('light', 'dark')
TOO_WIDE = 'document.documentElement.scrollWidth - window.innerWidth'
CULPRITS = '''() => [...document.querySelectorAll('main *')]
    .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest('pre, table, math'))
    .slice(0, 3).map(e => e.tagName + '.' + e.className + ' ' + (e.textContent || '').slice(0, 40))'''
FAINT = '''() => {      // kinds of visible text whose contrast with the background is below 4.5
    const numbers = s => (s.match(/[\\d.]+/g) || []).map(Number)
    const over = (a, b) => { const k = a[3] ?? 1; return [0, 1, 2].map(i => a[i] * k + b[i] * (1 - k)) }
    const behind = e => { const c = e ? numbers(getComputedStyle(e).backgroundColor) : [255, 255, 255]
                          return e && (c[3] ?? 1) < 1 ? over(c, behind(e.parentElement)) : c.slice(0, 3) }
    const light = c => c.map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
                        .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0)
    const opacity = e => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1
    const found = {}
    for (const e of document.querySelectorAll('body *')) {
        const text = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join('')
        if (!text || e.closest('script, style, noscript, svg, img') || !e.getClientRects().length) continue
        const back = behind(e), color = numbers(getComputedStyle(e).color)
        color[3] = (color[3] ?? 1) * opacity(e)
        const [a, b] = [light(over(color, back)), light(back)]
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05)
        if (ratio < 4.5) found[e.tagName + '.' + e.className] ??= ratio.toFixed(1) + ': ' + text.slice(0, 30)
    }
    return Object.entries(found).map(([k, v]) => k + ' ' + v)
}'''


def faults_at(browser, width, theme, pictures):
    "Faults of each page in a window of this width and theme, and the number of pages"
    page, said, bad = browser.new_page(viewport=dict(width=width, height=900), color_scheme=theme), [], []
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
        bad += [f'{name} at {width}, {theme}: faint text: {t}' for t in page.evaluate(FAINT)]
        if pictures:
            to = pictures/f'{width}_{theme}'
            to.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=to/(name.replace('/', '_')[:-5] + '.png'), full_page=True)
    page.close()
    return bad, len(files)


def chromium():
    "Path of Chromium or Chrome; None if there is none"
    names = 'chromium', 'chromium-browser', 'google-chrome'
    return os.environ.get('CHROMIUM') or next(filter(None, map(shutil.which, names)), None)


def main(pictures):
    "Open all pages at all widths, in both themes; exit status"
    at = chromium()
    if not at or not (DOCS/'index.html').exists():
        sys.exit('no Chromium on this machine, or no site in _docs: run .ci/docs first')
    flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=at, args=flags)
        found = [faults_at(browser, width, theme, pictures) for width in WIDTHS for theme in THEMES]
        browser.close()
    bad = [b for faults, _ in found for b in faults]
    print(*bad, f'{sum(n for _, n in found)} openings, {len(bad)} faults', sep='\n')
    return int(bool(bad))


if __name__ == '__main__': sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else None))
