"""Build the site without Quarto: nbdev processes the notebooks, smalldocs renders them, every page is checked.

Usage: .ci/site.py [--selftest]     writes _proc and _docs in the current checkout, both made anew; exit status 1 if a cell raises, a page warns or something on a page is broken
                                with --selftest, only checks that the check finds what it should
"""
import html, json, os, re, shutil, sys, tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from latex2mathml.converter import convert
from nbdev.config import get_config
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs
import nbdev.doclinks
from smalldocs.config import load
from smalldocs.site import Site

ADDRESS = re.compile(r'(?:&lt;|<)[\w.<>& ;]{1,60} at 0x[0-9a-f]{6,}')
FOREIGN_STYLE = re.compile(r'@import\s+(?:url\(["\']?https?:[^)]*\)|["\']https?:[^"\']*["\'])[^;]*;')

def process(cfg):
    "What `nbdev_docs` does before it calls Quarto; an exported or import cell that raises ends it"
    shutil.rmtree(cfg.config_path/'_proc', ignore_errors=True)
    refresh_quarto_yml()
    nbdev.doclinks._build_modidx()
    return Path(proc_nbs(n_workers=1))

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
    return re.sub(re.escape(base) + r'/([\w./-]+\.html)?(#[\w.-]+)?', lambda m: f"{up}/{m[1] or 'index.html'}{m[2] or ''}".removeprefix('./'), text)

def expand(contents, names, work):
    "Sidebar globs match the notebooks' own names; the pages have other names, so they are listed one by one"
    one = lambda glob: [os.path.relpath(names[p], work) for p in sorted(names) if p in set(work.glob(glob))]
    return [c if isinstance(c, str) else {**c, 'contents': one(c['contents'])} for c in contents]

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
    quarto['website']['sidebar']['contents'] = expand(quarto['website']['sidebar']['contents'], names, work)   # before pages get their new names
    for old, new in names.items():
        nb = json.loads(old.read_text(encoding='utf8'))
        fix = lambda src: relative_links(''.join(src), old, names, work, base)
        for c in nb['cells']:
            if c['cell_type'] == 'markdown': c['source'] = fix(c['source'])
            for o in c.get('outputs', []):
                if 'text/markdown' in o.get('data', {}): o['data']['text/markdown'] = fix(o['data']['text/markdown'])
        old.unlink(); new.write_text(json.dumps(nb), encoding='utf8')
    quarto['format']['html'].pop('html-math-method', None)
    quarto['project']['output-dir'] = '_docs'
    (work/'_quarto.yml').write_text(yaml.safe_dump(quarto, sort_keys=False))
    site = Site(load(work), quiet=True); site.build()
    docs = cfg.config_path/'_docs'
    shutil.rmtree(docs, ignore_errors=True)
    shutil.copytree(site.out, docs); shutil.rmtree(work)
    for p in docs.rglob('*.html'): p.write_text(mathml(p.read_text(encoding='utf8')), encoding='utf8')
    for p in docs.rglob('*.css'): p.write_text(FOREIGN_STYLE.sub('', p.read_text(encoding='utf8')), encoding='utf8')   # fonts: the system has some
    return site.warnings

class Page(HTMLParser):
    "What a page has that can be wrong"
    def __init__(self):
        super().__init__()
        self.ids, self.twice, self.links, self.no_alt, self.foreign, self.stored_error = set(), [], [], 0, [], False
        self.words, self.code = '', 0      # text outside of code; how deep in code we are
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.code += tag in ('pre', 'code')
        if attrs.get('id') in self.ids: self.twice.append(attrs['id'])
        self.ids |= {attrs[k] for k in ('id', 'name') if attrs.get(k)}
        self.links += [attrs[k] for k in ('href', 'src') if attrs.get(k)]
        if tag == 'img' and not (attrs.get('alt') or '').strip(): self.no_alt += 1
        if tag in ('script', 'img', 'iframe') and urlsplit(attrs.get('src') or '').netloc or tag == 'link' and attrs.get('rel') == 'stylesheet' and urlsplit(attrs.get('href') or '').netloc:
            self.foreign.append(attrs.get('src') or attrs.get('href'))
        self.stored_error |= 'cell-output-error' in (attrs.get('class') or '')
    def handle_endtag(self, tag): self.code -= tag in ('pre', 'code')
    def handle_data(self, data): self.words += '' if self.code else data

def faults(docs, base=''):
    "(page, what, what is wrong with it) for everything on the site that a reader would stumble over, and how many pages there are"
    pages, bad = {}, []
    for f in docs.rglob('*.html'): pages[f] = Page(); pages[f].feed(f.read_text(encoding='utf8'))
    for f, page in pages.items():
        say = lambda what, why: bad.append((f.relative_to(docs), what, why))
        for m in ADDRESS.findall(re.sub(r'<[^>]+>', '', f.read_text(encoding='utf8'))): say(html.unescape(m), 'is an address in memory: give it a repr')
        for link in page.links:
            s = urlsplit(link)
            ours = base and link.startswith(base)
            if (s.scheme or s.netloc) and not ours: continue
            path = unquote(s.path if not ours else link[len(base):].split('#')[0] or '/')
            target = f if not path else (docs/path.lstrip('/') if path.startswith('/') else f.parent/path).resolve()
            if target.is_dir(): target /= 'index.html'
            if target.suffix == '.ipynb': say(link, 'leads to a notebook instead of its page')
            elif not target.exists(): say(link, 'no such file')
            elif s.fragment and target in pages and unquote(s.fragment) not in pages[target].ids: say(link, 'no such anchor')
        for i in page.twice: say(f'#{i}', 'two places have this anchor')
        if page.no_alt: say(f'{page.no_alt} pictures', 'no words in the place of a picture: begin the cell with # alt: …')
        for link in page.foreign: say(link, 'loaded from elsewhere')
        if page.stored_error: say('a cell', 'shows an error')
        if re.search(r'\\[([].{1,200}?\\[)\]]', page.words): say('a formula', 'was not rendered')
    bad += [(f.relative_to(docs), FOREIGN_STYLE.search(f.read_text(encoding='utf8'))[0][:60], 'loaded from elsewhere') for f in docs.rglob('*.css') if FOREIGN_STYLE.search(f.read_text(encoding='utf8'))]
    home = pages.get(docs/'index.html')
    if home:
        from_home = {(docs/unquote(urlsplit(l).path)).resolve() for l in home.links if not urlsplit(l).netloc and urlsplit(l).path}
        bad += [(f.relative_to(docs), 'the page', 'is not in the sidebar') for f in pages if f not in from_home and f.name not in ('index.html', '404.html')]
    return bad, len(pages)

def selftest():
    "A small site with one fault of each kind: exit status 0 if exactly these are found"
    good = '<h1 id="top">a</h1><a href="b.html#here">good</a><a href="https://site/x/b.html#here">good</a><img src="p.png" alt="a shirt"><a href="c.html">c</a><math><mi>x</mi></math><pre><code>re.sub("\\(x\\)")</code></pre>'
    seeded = {'no such file': '<a href="d.html">no page</a>', 'no such anchor': '<a href="b.html#gone">no anchor</a>', 'no such file ': '<img src="none.png" alt="lost">',
              'no words in the place of a picture: begin the cell with # alt: …': '<img src="p.png">', 'two places have this anchor': '<p id="top">again</p>', 'loaded from elsewhere': '<script src="https://cdn.example.org/x.js"></script>',
              'shows an error': '<div class="cell-output cell-output-error">ValueError</div>', 'was not rendered': '<p>\\(x^2\\)</p>', 'leads to a notebook instead of its page': '<a href="b.ipynb">source</a>',
              'is an address in memory: give it a repr': '<pre>net=&lt;<span>function</span> f.&lt;lambda&gt; at 0x7f3b46823ba0&gt;</pre>',
              'no such file  ': '<a href="https://site/x/e.html">own address, no page</a>'}
    with tempfile.TemporaryDirectory() as d:
        docs = Path(d).resolve()
        (docs/'p.png').write_bytes(b''); (docs/'b.html').write_text('<h1 id="here">b</h1><a href="https://example.org">elsewhere</a>'); (docs/'c.html').write_text('c')
        (docs/'index.html').write_text(good); clean, n = faults(docs, 'https://site/x')
        (docs/'lonely.html').write_text('nobody links here'); (docs/'s.css').write_text('@import url(https://fonts.example.org/x:wght@300;400);')
        (docs/'index.html').write_text(good + ''.join(seeded.values())); bad, _ = faults(docs, 'https://site/x')
        for b in bad: print('found:', *b)
        want = sorted([k.strip() for k in seeded] + ['is not in the sidebar', 'loaded from elsewhere'])
        return int(clean != [] or n != 3 or sorted(b[2] for b in bad) != want)

if __name__ == '__main__':
    if '--selftest' in sys.argv: sys.exit(selftest())
    cfg = get_config()
    warnings = render(process(cfg), cfg)
    bad, n = faults(cfg.config_path/'_docs', cfg.doc_host.rstrip('/') + cfg.doc_baseurl.rstrip('/'))
    for w in warnings: print('warning:', w)
    for b in bad: print('fault:', *b)
    missing = [p.name for p in Path(cfg.nbs_path).rglob('[!_.]*.ipynb')]
    print(f'{n} pages in _docs, {len(bad)} faults, {len(warnings)} warnings')
    if n < len(missing): print(f'{len(missing)} notebooks, but only {n} pages')
    sys.exit(bool(bad or warnings or n < len(missing)))
