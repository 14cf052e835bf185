"""Write README.md from nbs/index.ipynb, its output pictures to nbs/images.

Usage: .ci/readme.py [--check]     with --check, write nothing and exit with status 1 if README.md or a picture differs
"""
import base64, json, re, sys
from pathlib import Path

top = Path(__file__).resolve().parent.parent
DIRECTIVE, ALT, FOLDED = re.compile(r'^\s*#\s*(\||alt:)'), re.compile(r'^#\s*alt:\s*(.+)', re.M), re.compile(r'^#\s*\|\s*code-fold:\s*true', re.M)

def parts():
    "README's text and its pictures as {path: bytes}"
    out, pictures = [], {}
    for c in json.loads((top/'nbs/index.ipynb').read_text(encoding='utf8'))['cells']:
        src = ''.join(c['source'])
        if re.search(r'^\s*#\s*\|\s*hide', src, re.M): continue
        if c['cell_type'] == 'markdown': out.append(re.sub(r'\]\(images/', '](nbs/images/', src)); continue
        if c['cell_type'] != 'code': continue
        if not FOLDED.search(src): out.append('```python\n' + '\n'.join(l for l in src.splitlines() if not DIRECTIVE.match(l)) + '\n```')
        for o in c.get('outputs', []):
            data = o.get('data', {})
            if 'image/png' in data:
                name = f'nbs/images/readme_{len(pictures) + 1}.png'
                pictures[name] = base64.b64decode(''.join(data['image/png']))
                out.append(f'![{ALT.search(src)[1]}]({name})')
            else: out.append('    ' + ''.join(o.get('text') or data.get('text/plain', '')).strip().replace('\n', '\n    '))
    return '<!-- written by .ci/readme.py from nbs/index.ipynb: edit that -->\n\n' + '\n\n'.join(out) + '\n', pictures

if __name__ == '__main__':
    text, pictures = parts()
    files = {'README.md': text.encode(), **pictures}
    stale = [n for n, b in files.items() if not (top/n).is_file() or (top/n).read_bytes() != b]
    if '--check' in sys.argv: print('differs from nbs/index.ipynb:' if stale else 'README.md is current', *stale); sys.exit(bool(stale))
    for n, b in files.items(): (top/n).parent.mkdir(exist_ok=True); (top/n).write_bytes(b)
