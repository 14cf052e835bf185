#!/usr/bin/env python3
"""Build the site without Quarto: nbdev processes the notebooks, smalldocs renders them, every page is checked.

Usage: .ci/site.py                  writes _proc and _docs in the current checkout, both made anew
       .ci/site.py --selftest       only checks that the check finds what it should

Exit status 1 if a cell raises, a page warns or something on a page is broken.
"""
import ast
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbdev.doclinks
import yaml
from latex2mathml.converter import convert
from nbdev.config import get_config
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs
from pages import TOP, pages
from smalldocs.config import load
from smalldocs.site import Site

ADDRESS = re.compile(r'(?:&lt;|<)[\w.<>& ;]{1,60} at 0x[0-9a-f]{6,}')
NO_ALT = 'no words in the place of a picture: begin the cell with #| fig-alt: "…"'
NO_REPR = 'is an address in memory: give it a repr'
IN_LINK = 'stands inside another link'
AS_MARKDOWN = 'a link that is shown as Markdown'
NO_CLASS = 'a class that reads like a function'
NO_ENTRY = 'has no entry, or one that is not a heading of second or third level'
NOT_IN_ORDER = 'its entry does not stand in the order of the definitions'
QUARTO_ONLY = 'html-math-method', 'respect-user-color-scheme', 'highlight-style'     # options that this renderer does not have
RUN_FROM_TWIN = 'howto/one_gpu.llms.md'      # a page whose twin has all the code that it needs
FOREIGN_STYLE = re.compile(r'@import\s+(?:url\(["\']?https?:[^)]*\)|["\']https?:[^"\']*["\'])[^;]*;')

def process(cfg):
    "What `nbdev_docs` does before it calls Quarto; an exported or import cell that raises ends it"
    shutil.rmtree(cfg.config_path/'_proc', ignore_errors=True)
    refresh_quarto_yml()
    nbdev.doclinks._build_modidx()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    return Path(proc_nbs(n_workers=2))

def pages_of(work):
    "Notebooks under `work`, each with the name that nbdev wants for its page"
    names = {}
    for p in sorted(work.rglob('*.ipynb')):
        nb = json.loads(p.read_text(encoding='utf8'))
        for c in nb['cells']:
            if c['cell_type'] != 'raw': continue
            src = ''.join(c['source'])
            if m := re.search(r'^output-file:\s*(\S+)\.html\s*$', src, re.M):
                names[p] = p.with_name(m[1] + '.ipynb')
                c['source'] = re.sub(r'^output-file:.*\n?', '', src, flags=re.M)
                p.write_text(json.dumps(nb), encoding='utf8')
                break
        names.setdefault(p, p)
    return names

def relative_links(text, page, names, work, base):
    "Links to notebooks get the page's new name; absolute links to this site become relative"
    def to_page(m):
        target = Path(os.path.normpath(page.parent/m[2]))
        return m[1] + os.path.relpath(names[target], page.parent) if target in names else m[0]
    text = re.sub(r'(\]\()([^)#\s:]+\.ipynb)', to_page, text)
    up = os.path.relpath(work, page.parent)
    ours = re.escape(base) + r'/([\w./-]+\.html)?(#[\w.-]+)?'
    return re.sub(ours, lambda m: f"{up}/{m[1] or 'index.html'}{m[2] or ''}".removeprefix('./'), text)

def expand(contents, names, work):
    "Sidebar globs match the notebooks' own names; the pages have other names, so they are listed one by one"
    def one(entry):
        if isinstance(entry, dict):
            return [{**entry, 'contents': expand(entry['contents'], names, work)}] if 'contents' in entry else [entry]
        if '*' not in entry: return [entry]
        found = set(work.glob(entry))
        return [os.path.relpath(names[p], work) for p in sorted(names) if p in found]
    return [page for entry in (contents if isinstance(contents, list) else [contents]) for page in one(entry)]

def mathml(page):
    "TeX between the marks that smalldocs leaves for a script from elsewhere becomes MathML, and the script goes"
    def math(m): return convert(html.unescape(m[2]), display='inline' if m[1] == 'inline' else 'block')
    page = re.sub(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', math, page, flags=re.S)
    return re.sub(r'<(link|script)[^>]*katex[^>]*>(</script>)?', '', page)

def render(proc, cfg):
    "Pages by smalldocs into _docs; returns its warnings"
    work = cfg.config_path/'_proc_site'
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(proc, work, ignore=shutil.ignore_patterns('_docs', '_site', '.quarto'))
    base, names = cfg.doc_host.rstrip('/') + cfg.doc_baseurl.rstrip('/'), pages_of(work)
    quarto = yaml.safe_load((work/'_quarto.yml').read_text())
    sidebar = quarto['website']['sidebar']
    sidebar['contents'] = expand(sidebar['contents'], names, work)   # before pages get their new names
    for old, new in names.items():
        nb = json.loads(old.read_text(encoding='utf8'))
        fix = lambda src, old=old: relative_links(''.join(src), old, names, work, base)
        for c in nb['cells']:
            if c['cell_type'] == 'markdown': c['source'] = fix(c['source'])
            for o in c.get('outputs', []):
                if 'text/markdown' in o.get('data', {}): o['data']['text/markdown'] = fix(o['data']['text/markdown'])
        old.unlink(); new.write_text(json.dumps(nb), encoding='utf8')
    for option in QUARTO_ONLY: quarto['format']['html'].pop(option, None)
    quarto['project']['output-dir'] = '_docs'
    (work/'_quarto.yml').write_text(yaml.safe_dump(quarto, sort_keys=False))
    site = Site(load(work), quiet=True); site.build()
    docs = cfg.config_path/'_docs'
    shutil.rmtree(docs, ignore_errors=True)
    shutil.copytree(site.out, docs); shutil.rmtree(work)
    for p in docs.rglob('*.html'): p.write_text(mathml(p.read_text(encoding='utf8')), encoding='utf8')
    for p in docs.rglob('*.css'):   # fonts: the system has some
        p.write_text(FOREIGN_STYLE.sub('', p.read_text(encoding='utf8')), encoding='utf8')
    return site.warnings

class Page(HTMLParser):
    "What a page has that can be wrong"
    def __init__(self):
        super().__init__()
        self.ids, self.twice, self.links, self.no_alt, self.foreign, self.stored_error = set(), [], [], 0, [], False
        self.words, self.code = '', 0      # text outside of code; how deep in code we are
        self.text, self.entries, self.nested, self.link = '', [], [], None    # all text; ids of headings; links in links
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.code += tag in ('pre', 'code')
        if tag == 'a' and attrs.get('href'):
            if self.link: self.nested.append(attrs['href'])
            self.link = attrs['href']
        if tag in ('h2', 'h3', 'section') and attrs.get('id'): self.entries.append(attrs['id'])
        if attrs.get('id') in self.ids: self.twice.append(attrs['id'])
        self.ids |= {attrs[k] for k in ('id', 'name') if attrs.get(k)}
        self.links += [attrs[k] for k in ('href', 'src') if attrs.get(k)]
        if tag == 'img' and not (attrs.get('alt') or '').strip(): self.no_alt += 1
        style = tag == 'link' and attrs.get('rel') == 'stylesheet'
        loads = 'src' if tag in ('script', 'img', 'iframe') else 'href' if style else None
        if loads and urlsplit(attrs.get(loads) or '').netloc: self.foreign.append(attrs[loads])
        self.stored_error |= 'cell-output-error' in (attrs.get('class') or '')
    def handle_endtag(self, tag):
        self.code -= tag in ('pre', 'code')
        if tag == 'a': self.link = None
    def handle_data(self, data):
        self.text += data
        self.words += '' if self.code else data

def faults_of_link(link, page, docs, pages, base):
    "What is wrong with where a link of a page leads, in words, if anything is"
    s = urlsplit(link)
    ours = base and link.startswith(base)
    if (s.scheme or s.netloc) and not ours: return []
    path = unquote(s.path if not ours else link[len(base):].split('#')[0] or '/')
    target = page if not path else (docs/path.lstrip('/') if path.startswith('/') else page.parent/path).resolve()
    if target.is_dir(): target /= 'index.html'
    if target.suffix == '.ipynb': return ['leads to a notebook instead of its page']
    if not target.exists(): return ['no such file']
    return ['no such anchor'] if s.fragment and target in pages and unquote(s.fragment) not in pages[target].ids else []

def faults_of_page(f, page, docs, pages, base):
    "(what, what is wrong with it) for everything on one page"
    text = f.read_text(encoding='utf8')
    for m in ADDRESS.findall(re.sub(r'<[^>]+>', '', text)): yield html.unescape(m), NO_REPR
    for link in page.links:
        for why in faults_of_link(link, f, docs, pages, base): yield link, why
    for i in page.twice: yield f'#{i}', 'two places have this anchor'
    if page.no_alt: yield f'{page.no_alt} pictures', NO_ALT
    for link in page.foreign: yield link, 'loaded from elsewhere'
    for link in page.nested: yield link, IN_LINK
    for m in re.findall(r'\]\([\w./:-]+\.html\S*', page.text): yield m, AS_MARKDOWN
    for m in re.findall(r'\bdef [A-Z]\w*\(|\bclass \w+\([^)]*\) ?-> ?None', page.text): yield m, NO_CLASS
    if page.stored_error: yield 'a cell', 'shows an error'
    if re.search(r'\\[([].{1,200}?\\[)\]]', page.words): yield 'a formula', 'was not rendered'

def faults(docs, base=''):
    "[(page, what, what is wrong with it)] for all that a reader would stumble over, and how many pages there are"
    pages = {}
    for f in docs.rglob('*.html'): pages[f] = Page(); pages[f].feed(f.read_text(encoding='utf8'))
    bad = [(f.relative_to(docs), *b) for f, page in pages.items() for b in faults_of_page(f, page, docs, pages, base)]
    for f in docs.rglob('*.css'):
        m = FOREIGN_STYLE.search(f.read_text(encoding='utf8'))
        if m: bad.append((f.relative_to(docs), m[0][:60], 'loaded from elsewhere'))
    home = pages.get(docs/'index.html')
    if home:
        local = [urlsplit(link) for link in home.links]
        linked = {(docs/unquote(s.path)).resolve() for s in local if not s.netloc and s.path}
        bad += [(f.relative_to(docs), 'the page', 'is not in the sidebar') for f in pages
                if f not in linked and f.name not in ('index.html', '404.html')]
    return bad, len(pages)

def definitions(source):
    "Anchors of the public functions and classes of a module, with the methods of the classes, in their order"
    found = []
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name[0] == '_': continue
        found.append(node.name.lower())
        if isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and ast.get_docstring(n)]
            found += [f'{node.name}.{m.name}'.lower() for m in methods if m.name == '__call__' or m.name[0] != '_']
    return [name + f'-{n}' * bool(n) for i, name in enumerate(found) for n in [found[:i].count(name)]]

def faults_of_entries(page, source):
    "(name, what is wrong) for the definitions of a module on its page"
    wanted, at = definitions(source), {anchor: i for i, anchor in reversed([*enumerate(page.entries)])}
    for name in wanted:
        if name not in at: yield name, NO_ENTRY
    found = [name for name in wanted if name in at]
    for a, b in zip(found, found[1:]):
        if at[b] < at[a]: yield b, NOT_IN_ORDER

def entries(docs, top=TOP):
    "[(page, name, what is wrong)] for the definitions of all modules"
    bad = []
    for page in pages():
        if not page.module: continue
        f = docs/Path(page.name).relative_to('nbs').parent/f"{page.module.rpartition('.')[2]}.html"
        parsed = Page(); parsed.feed(f.read_text(encoding='utf8'))
        source = (top/'diffnb'/(page.module.replace('.', '/') + '.py')).read_text(encoding='utf8')
        bad += [(f.relative_to(docs), *b) for b in faults_of_entries(parsed, source)]
    return bad

def code_of(twin):
    "The code of a page in its Markdown twin"
    return '\n'.join(re.findall(r'^```python\n(.*?)^```$', twin, re.S | re.M))

def twins(docs):
    "[(page, its Markdown twin, what is wrong)]: each page has one, which llms.txt lists, and from one the code is run"
    listed, bad = (docs/'llms.txt').read_text(encoding='utf8'), []
    for f in sorted(docs.rglob('*.html')):
        if f.name == '404.html': continue
        twin = f.with_suffix('.llms.md')
        if not twin.exists(): bad.append((f.relative_to(docs), twin.name, 'is missing'))
        elif f'/{twin.relative_to(docs)}' not in listed: bad.append((f.relative_to(docs), twin.name, 'not in llms.txt'))
    with tempfile.TemporaryDirectory() as d:
        code = Path(d)/'page.py'
        code.write_text(code_of((docs/RUN_FROM_TWIN).read_text(encoding='utf8')), encoding='utf8')
        ran = subprocess.run([sys.executable, code], cwd=d, capture_output=True, text=True)
    if ran.returncode: bad.append((Path(RUN_FROM_TWIN), 'its code', f'fails alone: {ran.stderr[-300:]}'))
    return bad

# The seeded faults of the check's own test

GOOD = ('<h1 id="top">a</h1><a href="b.html#here">good</a><a href="https://site/x/b.html#here">good</a>'
        '<img src="p.png" alt="a shirt"><a href="c.html">c</a>'
        '<math><mi>x</mi></math><pre><code>re.sub("\\(x\\)")</code></pre>')
SEEDED = [('no such file', '<a href="d.html">no page</a>'),
          ('no such anchor', '<a href="b.html#gone">no anchor</a>'),
          ('no such file', '<img src="none.png" alt="lost">'),
          ('no such file', '<a href="https://site/x/e.html">own address, no page</a>'),
          (NO_ALT, '<img src="p.png">'),
          ('two places have this anchor', '<p id="top">again</p>'),
          ('loaded from elsewhere', '<script src="https://cdn.example.org/x.js"></script>'),
          ('shows an error', '<div class="cell-output cell-output-error">ValueError</div>'),
          ('was not rendered', '<p>\\(x^2\\)</p>'),
          ('leads to a notebook instead of its page', '<a href="b.ipynb">source</a>'),
          (IN_LINK, '<a href="b.html">see <a href="b.html#here"><code>f</code></a></a>'),
          (AS_MARKDOWN, '<pre>x, # from [`f`](b.html#f)</pre>'),
          (NO_CLASS, '<pre><span>def</span> Learner(</pre>'),
          (NO_CLASS, '<pre>class Run(a: int) -&gt; None</pre>'),
          (NO_REPR, '<pre>net=&lt;<span>function</span> f.&lt;lambda&gt; at 0x7f3b46823ba0&gt;</pre>')]

def selftest():
    "A small site with one fault of each kind: exit status 0 if exactly these are found"
    with tempfile.TemporaryDirectory() as d:
        docs = Path(d).resolve()
        (docs/'p.png').write_bytes(b'')
        (docs/'b.html').write_text('<h1 id="here">b</h1><a href="https://example.org">elsewhere</a>')
        (docs/'c.html').write_text('c')
        (docs/'index.html').write_text(GOOD)
        clean, n = faults(docs, 'https://site/x')
        (docs/'lonely.html').write_text('nobody links here')
        (docs/'s.css').write_text('@import url(https://fonts.example.org/x:wght@300;400);')
        (docs/'index.html').write_text(GOOD + ''.join(text for _, text in SEEDED))
        bad, _ = faults(docs, 'https://site/x')
    for b in bad: print('found:', *b)
    names = {Path('core/b.ipynb'): Path('core/b.ipynb'), Path('core/01_a.ipynb'): Path('core/a.ipynb')}
    with tempfile.TemporaryDirectory() as d:
        work = Path(d); (work/'core').mkdir()
        for p in names: (work/p).write_text('')
        nested = ['index.ipynb', dict(section='s', contents=[dict(section='t', contents='core/*.ipynb')])]
        listed = expand(nested, {work/p: work/q for p, q in names.items()}, work)
    want = sorted([why for why, _ in SEEDED] + ['is not in the sidebar', 'loaded from elsewhere'])
    module = Page(); module.feed('<h2 id="g">g</h2><h2 id="f">f</h2><h4 id="c.run">run</h4><h2 id="c">C</h2>')
    source = 'def f(): pass\ndef g(): pass\nclass C:\n    def run(self): "Go"\n    def _no(self): "no"\n'
    good_twin = code_of('a\n```python\nx = 1\n```\nb\n    ```\n```sh\nno\n```\n```python\ny = x\n```\n') == 'x = 1\n\ny = x\n'
    good_entries = [*faults_of_entries(module, source)] == [('c.run', NO_ENTRY), ('g', NOT_IN_ORDER)]
    inner = dict(section='t', contents=['core/a.ipynb', 'core/b.ipynb'])
    good_sidebar = listed == ['index.ipynb', dict(section='s', contents=[inner])]
    return int(clean != [] or n != 3 or sorted(b[2] for b in bad) != want or not good_sidebar or not good_entries or not good_twin)

def main():
    "Build and check the site; exit status"
    cfg = get_config()
    warnings = render(process(cfg), cfg)
    bad, n = faults(cfg.config_path/'_docs', cfg.doc_host.rstrip('/') + cfg.doc_baseurl.rstrip('/'))
    bad += entries(cfg.config_path/'_docs') + twins(cfg.config_path/'_docs')
    for w in warnings: print('warning:', w)
    for b in bad: print('fault:', *b)
    expected = len(pages())
    print(f'{n} pages in _docs, {len(bad)} faults, {len(warnings)} warnings')
    if n < expected: print(f'{expected} notebooks, but only {n} pages')
    return int(bool(bad or warnings or n < expected))

if __name__ == '__main__': sys.exit(selftest() if '--selftest' in sys.argv else main())
