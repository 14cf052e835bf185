"""Links of a page to its source, and pages run again.

`settings.ini` names `diffnb_ci.book`: an editable install makes this folder importable under that name.
"""
import base64
import io
import json
import os
import re
from pathlib import Path


# Links

def page_links(where, git_url, branch):
    "Links of a page to its source and to Colab, for Quarto's `code-links`; `where` is its path in the repository"
    path = f"{git_url.removeprefix('https://github.com/')}/blob/{branch}/{where}"
    return [dict(text='Source of this page', icon='github', href=f'https://github.com/{path}'),
            dict(text='Open in Colab', icon='play-circle', href=f'https://colab.research.google.com/github/{path}')]


class PageLinks:
    "Processor: the links of a page, in its front matter"
    def __init__(self, nb): self.nb = nb

    def begin(self):
        "Add them below what is there"
        from nbdev.config import get_config
        config, front = get_config(), self.nb.cells[0]
        if front.cell_type != 'raw': return
        where = Path(self.nb.path_).resolve().relative_to(config.config_path.resolve()).as_posix()
        lines = ''.join(f'  - {json.dumps(link)}\n' for link in page_links(where, config.git_url, config.branch))
        front.source = re.sub(r'\n---\s*\Z', lambda m: f'\ncode-links:\n{lines}---\n', front.source)


# Pages run again

def left_out(cell, skipped):
    "Does nbdev_test leave this cell out? `skipped` are flags such as 'slow'"
    from nbdev.process import extract_directives
    if cell.cell_type != 'code': return True
    marks = extract_directives(cell, remove=False)
    off = marks.get('eval:', [''])[0].lower() == 'false'
    return off or 'nbdev_export(' in cell.source or bool(skipped & set(marks))


def not_executed(path):
    "Does a page say `skip_exec: true` in its front matter?"
    from fastcore.basics import str2bool
    from nbdev.frontmatter import FrontmatterProc
    from nbdev.process import NBProcessor
    front = getattr(NBProcessor(path, procs=FrontmatterProc, process=True).nb, 'frontmatter_', {})
    return str2bool(front.get('skip_exec', False))


def run_again(path, slow=False, each=lambda cell: None):
    """A notebook, run from top to bottom in its own folder, with new outputs; the file is left alone

    Cells and pages that nbdev_test leaves out keep their outputs. `each` is called with every cell before it runs.
    """
    from execnb.shell import CaptureShell
    from fastcore.nbio import read_nb
    path, before = Path(path).resolve(), os.getcwd()
    if path.suffix != '.ipynb' or not path.is_file():
        raise ValueError(f'{path} is not a notebook; give a file that ends in .ipynb')
    try: nb = read_nb(path)
    except (ValueError, KeyError) as e: raise ValueError(f'{path} is not a notebook ({e})') from None
    if not_executed(path): return nb
    shell = CaptureShell(path.parent, mpl_format='png')
    skipped = {'notest'} if slow else {'notest', 'slow'}
    try:
        os.chdir(path.parent)
        for cell in nb.cells:
            if left_out(cell, skipped): continue
            each(cell)
            cell.outputs = []
            shell.cell(cell)
            if shell.exc: raise RuntimeError(f'{path.name}, cell {cell.id}:\n{shell.prettytb(path.name)}')
            cell.outputs = stored(cell.outputs)
    finally: os.chdir(before)
    return nb


def stored(outputs):
    "The outputs of a cell that a notebook keeps: no warnings, and of two forms of a picture the one without loss"
    kept = [o for o in outputs if o.get('name') != 'stderr']
    for o in kept:
        if 'image/png' in o.get('data', {}): o['data'].pop('image/jpeg', None)   # Pillow gives both
    return kept


# What changed

NUMBER = r'[-+]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?'
UNITS = r'milliseconds|microseconds|seconds|minutes|ms|s|min|GB|MB|MiB|KiB|images/s|pictures/s'
MEASURED = re.compile(rf"(?<='seconds': ){NUMBER}|{NUMBER}\s*(?:{UNITS})\b"
                      r"|0x[0-9a-f]+|\d{9}-[0-9a-f]{16}|/tmp/\S+|\d+:\d\d\b|\d{4}-\d\d-\d\dT\S+")
CLOCK = re.compile(r'perf_counter|paired\(|check_fast|minutes=|profile\(|_costs\(|bench_table|quick\b'
                   r'|\.strip\(\)|live\.figure|plot_loss')
TOLERANCE = 8.   # mean difference of pictures, of 255


def masked(text, source=''):
    "What a cell printed, without what was timed; `source` is its code"
    return re.sub(r'\s+', ' ', re.sub(NUMBER, '#', text)) if CLOCK.search(source) else MEASURED.sub('#', text)


def changed_outputs(before, after, tolerance=TOLERANCE):
    "[(id, what differs)] for the cells of a notebook that no longer show what is stored"
    found = []
    for a, b in zip(before.cells, after.cells):
        if a.cell_type != 'code': continue
        (words, pictures), (new_words, new_pictures) = shown(a), shown(b)
        old, new = masked(words, a.source), masked(new_words, a.source)
        if old != new: found.append((a.id, f'text: {first_difference(old, new)}'))
        if CLOCK.search(a.source): continue
        if len(pictures) != len(new_pictures):
            found.append((a.id, f'{len(pictures)} pictures stored, {len(new_pictures)} now'))
        far = max(map(distance, pictures, new_pictures), default=0)
        if far > tolerance: found.append((a.id, f'picture: differs by {far:.0f} of 255 on average'))
    return found


def shown(cell):
    "The words and the PNG files that a cell shows"
    data = [(o, o.get('data', {})) for o in cell.get('outputs', [])]
    words = [''.join(o.get('text') or d.get('text/plain', '')) for o, d in data if 'image/png' not in d]
    return '\n'.join(words), [base64.b64decode(''.join(d['image/png'])) for _, d in data if 'image/png' in d]


def distance(a, b):
    "Mean difference of two PNG files; another size is as far as can be"
    import numpy as np
    from PIL import Image
    a, b = (np.asarray(Image.open(io.BytesIO(p)).convert('RGB'), float) for p in (a, b))
    return abs(a - b).mean() if a.shape == b.shape else 255.


def first_difference(a, b):
    "Where two texts begin to differ, with a few characters around it"
    k = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    around = slice(max(0, k - 20), k + 20)
    return f'…{a[around]!r} stored, …{b[around]!r} now'
