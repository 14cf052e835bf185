#!/usr/bin/env python3
"""Write README.md from nbs/index.ipynb, its output pictures to nbs/images.

Usage: .ci/readme.py           writes what differs
       .ci/readme.py --check   writes nothing; exit status 1 if README.md or a picture differs
"""
import base64
import json
import re
import sys

from pages import DIRECTIVE, TOP, directives

ORIGIN = '<!-- written by .ci/readme.py from nbs/index.ipynb: edit that -->'


def shown_code(source):
    "A cell's code as a block of Markdown, without directives"
    return '```python\n' + '\n'.join(line for line in source.splitlines() if not DIRECTIVE.match(line)) + '\n```'


def words(source):
    "What a cell's picture shows, in words"
    text = directives(source)['fig-alt']
    return json.loads(text) if text.startswith('"') else text


def as_on_github(text):
    "Markdown without Quarto's attributes of pictures, whose paths start at the top of the repository"
    return re.sub(r'\]\(images/([^)]*\))(?:\{[^}]*\})?', r'](nbs/images/\1', text)


def indented(text): return '    ' + text.strip().replace('\n', '\n    ')


def readme(notebook):
    "The text of README.md and its pictures as {path: bytes}"
    out, pictures = [ORIGIN], {}
    for c in notebook['cells']:
        source = ''.join(c['source'])
        marks = directives(source)
        if 'hide' in marks or c['cell_type'] == 'raw': continue
        if c['cell_type'] == 'markdown': out.append(as_on_github(source)); continue
        if marks.get('echo') != 'false': out.append(shown_code(source))
        for o in c.get('outputs', []):
            data = o.get('data', {})
            if 'image/png' in data:
                name = f'nbs/images/readme_{len(pictures) + 1}.png'
                pictures[name] = base64.b64decode(''.join(data['image/png']))
                out.append(f'![{words(source)}]({name})')
            else: out.append(indented(''.join(o.get('text') or data.get('text/plain', ''))))
    return '\n\n'.join(out) + '\n', pictures


def main(check):
    "Write, or check; exit status"
    text, pictures = readme(json.loads((TOP/'nbs/index.ipynb').read_text(encoding='utf8')))
    files = {'README.md': text.encode(), **pictures}
    stale = [n for n, b in files.items() if not (TOP/n).is_file() or (TOP/n).read_bytes() != b]
    if check:
        print('differs from nbs/index.ipynb:' if stale else 'README.md is current', *stale)
        return int(bool(stale))
    for n in stale:
        (TOP/n).parent.mkdir(exist_ok=True)
        (TOP/n).write_bytes(files[n])
    return 0


if __name__ == '__main__': sys.exit(main('--check' in sys.argv))
