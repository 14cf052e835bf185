#!/usr/bin/env python3
"""Use the page of diffnb_play in Chromium: every tab, as wide as a phone and as a screen, and what must not happen.

Usage: .ci/play.py [--only NAME] [--screenshots FOLDER]    with a folder, pictures for the tutorial go there

The last line is 'N passed, N failed'; exit status 1 if one failed. Needs pip install gradio playwright, and Chromium
(Debian's and Ubuntu's package chromium, or CHROMIUM=path). Takes about three minutes on two cores.
"""
import argparse
import base64
import contextlib
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

from browse import chromium

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
COMMAND = [sys.executable, '-c', 'from diffnb.use.page import diffnb_play; diffnb_play()']
SIZES = {1280: 900, 390: 844}
STEP = re.compile(r'Step \d+ of')      # not the link to steps.gif
CHECKS = []


def check(f):
    CHECKS.append(f)
    return f


# The server, and what it uses

def listen():
    "Let a process end with Ctrl-C, also where this file runs in the background"
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Server:
    "diffnb_play in a process of its own, in an empty folder"
    def __init__(self, *options):
        self.home = Path(tempfile.mkdtemp(prefix='play-test-'))
        for name in ('tmp', 'empty'): (self.home/name).mkdir()
        env = {**os.environ, 'PYTHONPATH': str(TOP), 'TMPDIR': str(self.home/'tmp'), 'HOME': str(self.home)}
        self.log = open(self.home/'log', 'w')
        self.process = subprocess.Popen([*COMMAND, '--headless', '--port', '0', *options], cwd=self.home, env=env,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True, preexec_fn=listen)
        line = self.process.stdout.readline()
        if 'The page is at' not in line:
            self.process.wait()
            sys.exit(f'diffnb_play did not start: {line}{(self.home/"log").read_text()}')
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(':', 1)[1].strip('/'))

    def seconds(self):
        "Seconds of CPU so far"
        fields = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def load(self, seconds=1.):
        "Share of one core that it uses now"
        before, began = self.seconds(), time.perf_counter()
        time.sleep(seconds)
        return (self.seconds() - before) / (time.perf_counter() - began)

    def memory(self, what='VmRSS'):
        "Megabytes now, or at most so far with VmHWM"
        return int(re.search(rf'{what}:\s+(\d+)', Path(f'/proc/{self.process.pid}/status').read_text())[1]) / 1024

    def files(self): return sorted(p.relative_to(self.home).as_posix() for p in self.home.rglob('*') if p.is_file())

    def end(self):
        self.process.send_signal(signal.SIGINT)
        try: self.process.wait(20)
        except subprocess.TimeoutExpired: self.process.kill()
        self.log.close()
        return self.process.returncode


class Lab:
    "A server and a browser with fresh profiles"
    def __init__(self, server, browser):
        self.server, self.browser, self.said, self.pictures = server, browser, [], None

    def open(self, width=1280, query='', wait=True):
        "A new tab of its own, whose console and requests are watched"
        page = self.browser.new_context(viewport=dict(width=width, height=SIZES[width])).new_page()
        page.on('console', lambda m: self.said.append(m.text) if m.type == 'error' else None)
        page.on('pageerror', lambda e: self.said.append(str(e)))
        ours = self.server.url.rsplit(':', 1)[1].strip('/')
        page.on('request', lambda r: self.said.append(f'external {r.url}')
                if not r.url.startswith(('data:', 'blob:')) and f':{ours}/' not in r.url else None)
        page.goto(self.server.url + query)
        if wait: finished(page, 'make')
        return page

    def shot(self, page, name):
        "A screenshot for the tutorial, if asked for, in few colors"
        if self.pictures is None: return
        page.evaluate('document.activeElement && document.activeElement.blur()')
        image = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert('RGB')
        small = image.resize((image.width * 7 // 10, image.height * 7 // 10), Image.Resampling.LANCZOS)
        for colors in (128, 64, 32, 16):
            file = io.BytesIO()
            small.quantize(colors, dither=Image.Dither.NONE).save(file, 'PNG', optimize=True)
            if file.tell() <= 60_000: break
        (self.pictures/f'play_{name}.png').write_bytes(file.getvalue())


def finished(page, tab, timeout=30_000, text='Finished'):
    page.locator(f'#{tab}-result').get_by_text(text).first.wait_for(timeout=timeout)


def tab(page, name): page.get_by_role('tab', name=name, exact=True).click()


def link(page, where, name):
    "Content of a link that downloads a file"
    href = page.locator(f'#{where}-result a[download="{name}"]').get_attribute('href')
    return base64.b64decode(href.split(',', 1)[1])


def pixels(page, where): return np.load(io.BytesIO(link(page, where, 'pictures.npz')))['arr_0']


def source(page, where): return page.locator(f'#{where}-result img').first.get_attribute('src')


def code(page, where):
    "The lines of Python that the page shows"
    block = page.locator(f'#{where}-code')
    if not block.locator('.cm-content').is_visible(): block.get_by_role('button').first.click()
    block.locator('.cm-content').wait_for()
    page.wait_for_timeout(200)
    return '\n'.join(block.locator('.cm-line').all_inner_texts())


def ran(lines, files=()):
    "Bytes of the images that these lines make, in a folder of their own"
    scope = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, content in dict(files).items(): (Path(folder)/name).write_bytes(content)
        exec(lines, scope)
    return scope['denoise'].spec.to_uint8(scope['images']).permute(0, 2, 3, 1).numpy()


def say(where, page): return page.locator(f'#{where}').inner_text()


def number(box, label, value):
    field = box.get_by_label(re.compile(label)).first
    field.fill(str(value))
    field.press('Tab')


# The tabs

@check
def first_step_and_whole_picture(lab):
    "First step within 2 s of a click, the whole picture within 6 s; nothing from elsewhere; as wide as the window"
    for width in SIZES:
        page = lab.open(width)
        before, times = source(page, 'make'), []
        for _ in range(3):
            began = time.perf_counter()
            page.locator('#make-again').click()
            page.locator('#make-result').get_by_text(STEP).wait_for()
            first = time.perf_counter() - began
            finished(page, 'make')
            times.append((first, time.perf_counter() - began))
        yield max(t[0] for t in times) < 2, f'{width}: first step after {max(t[0] for t in times):.2f} s'
        yield max(t[1] for t in times) < 6, f'{width}: whole picture after {max(t[1] for t in times):.2f} s'
        yield source(page, 'make') != before, f'{width}: another seed, other pictures'
        yield page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), f'{width}: not too wide'
        if width == 1280: lab.shot(page, 'make')
        page.context.close()


@check
def the_code_is_the_click(lab):
    "The lines of Python make the same pictures, to the bit; a link makes them in another browser"
    page = lab.open()
    page.locator('#make-again').click()
    page.locator('#make-result').get_by_text(STEP).wait_for()
    finished(page, 'make')
    lines, here = code(page, 'make'), pixels(page, 'make')
    yield 3 <= len(lines.splitlines()) <= 10, f'{len(lines.splitlines())} lines of code'
    yield np.array_equal(ran(lines), here), 'the code makes the same pictures'
    lab.shot(page, 'code')
    for name, start in (('pictures.png', b'\x89PNG'), ('steps.gif', b'GIF89a'), ('pictures.npz', b'PK')):
        yield link(page, 'make', name).startswith(start), f'{name} can be downloaded'
    page.wait_for_function("location.search.includes('seed=1')")
    friend = lab.open(query=page.url.partition('/?')[2] and '?' + page.url.partition('?')[2])
    yield np.array_equal(pixels(friend, 'make'), here), 'a friend with the link sees the same pictures'
    bad = lab.open(query='?tab=make&steps=1000', wait=False)
    bad.locator('#said .problem').wait_for()
    yield 'allowed' in say('said', bad), f'a bad link: {say("said", bad)}'
    for p in (page, friend, bad): p.context.close()


def stroke(page, box):
    page.locator('#edit-editor').scroll_into_view_if_needed()
    area = page.locator('#edit-editor canvas').first.bounding_box()
    x, y = area['x'] + area['width'] / 2, area['y'] + area['height'] / 2
    page.mouse.move(x - box, y - box)
    page.mouse.down()
    for k in range(4): page.mouse.move(x + (box if k % 2 == 0 else -box), y - box + k * box // 2, steps=2)
    page.mouse.up()


@check
def draw_a_mask_and_repaint(lab):
    "Only painted pixels change; without a stroke the page says so"
    for width in SIZES:
        page = lab.open(width)
        tab(page, 'Edit')
        page.locator('#edit-go').click()
        page.locator('#edit-result .problem').wait_for()
        yield 'no picture yet' in say('edit-result', page), f'{width}: no picture: {say("edit-result", page)}'
        page.locator('#edit-example').click()
        page.wait_for_timeout(1200)
        page.locator('#edit-go').click()
        page.locator('#edit-result').get_by_text('painted').wait_for()
        yield True, f'{width}: no stroke: {say("edit-result", page)}'
        stroke(page, 40)
        page.locator('#edit-go').click()
        finished(page, 'edit')
        files = {k: link(page, 'edit', k) for k in ('photo.png', 'mask.png')}
        made = pixels(page, 'edit')[..., 0]
        photo, mask = (np.array(Image.open(io.BytesIO(v)).convert('L')) for v in files.values())
        kept = mask < 128
        yield 20 < (~kept).sum() < 500, f'{width}: {(~kept).sum()} pixels are painted'
        yield (made[:, kept] == photo[kept]).all() and (made[:, ~kept] != photo[~kept]).any(), f'{width}: the rest is kept'
        if width == 1280: yield np.array_equal(ran(code(page, 'edit'), files)[..., 0], made), 'the code does the same'
        if width == 1280: lab.shot(page, 'edit')
        page.context.close()


@check
def mix_two_classes(lab):
    "A row of pictures between two classes"
    for width in SIZES:
        page = lab.open(width)
        tab(page, 'Mix')
        page.locator('#mix-go').click()
        finished(page, 'mix')
        if width == 1280: yield np.array_equal(ran(code(page, 'mix')), pixels(page, 'mix')), 'the code does the same'
        yield pixels(page, 'mix').shape[0] == 8, f'{width}: eight pictures'
        page.context.close()


def encoded(image, kind='PNG'):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def photograph(k=0, size=(640, 480)):
    "A bright drawing on a dark ground, like a photograph of a thing on a table"
    image = Image.new('RGB', size, (20 + 5 * k, 24, 30))
    draw = ImageDraw.Draw(image)
    w, h = size
    draw.ellipse((w * .25 + 4 * k, h * .2, w * .75, h * .8 - 5 * k), fill=(230, 160 + 6 * k, 60))
    draw.rectangle((w * .4, h * .1, w * .6, h * .3 + 4 * k), fill=(120, 200, 240 - 8 * k))
    return image


@check
def repair_a_photograph(lab):
    "A photograph is fitted and repaired; a file that is no picture is refused"
    page = lab.open()
    tab(page, 'Repair')
    with page.expect_file_chooser() as chooser: page.locator('#repair-upload').click()
    chooser.value.set_files(dict(name='broken.jpg', mimeType='image/jpeg', buffer=b'\xff\xd8\xff' + bytes(500)))
    page.locator('#repair-photo .problem').wait_for()
    yield 'damaged' in say('repair-photo', page), f'unreadable: {say("repair-photo", page)}'
    with page.expect_file_chooser() as chooser: page.locator('#repair-upload').click()
    chooser.value.set_files(dict(name='thing.jpg', mimeType='image/jpeg', buffer=encoded(photograph(), 'JPEG')))
    page.locator('#repair-photo img').wait_for()
    page.locator('#repair-go').click()
    finished(page, 'repair')
    yield pixels(page, 'repair').shape == (7, 28, 28, 1), 'a photograph is fitted and its middle repaired'
    for what in ('it is grainy', 'nothing, vary it'):
        before = source(page, 'repair')
        page.locator('#repair-what').get_by_text(what).click()
        page.wait_for_timeout(300)
        page.locator('#repair-go').click()
        page.wait_for_function('b => document.querySelector("#repair-result img").src != b', arg=before)
        finished(page, 'repair')
        yield source(page, 'repair') != before, f'{what}: other pictures'
    page.context.close()
    page = lab.open(390)
    tab(page, 'Repair')
    page.locator('#repair-example').click()
    page.locator('#repair-photo img').wait_for()
    page.locator('#repair-go').click()
    finished(page, 'repair')
    files = {k: link(page, 'repair', k) for k in ('photo.png', 'mask.png')}
    yield np.array_equal(ran(code(page, 'repair'), files), pixels(page, 'repair')), '390: the code does the same'
    page.context.close()
    yield not any('/tmp/' in f and f.endswith(('.jpg', '.jpeg')) for f in lab.server.files()), 'no upload is kept'


@check
def choose_three_times(lab):
    "Eight candidates, three choices, a replay string that makes the same picture in another browser"
    for width in SIZES:
        page = lab.open(width)
        tab(page, 'Choose')
        page.locator('#choose-go').click()
        box = page.get_by_label('Replay string')
        for k in range(3):
            page.wait_for_function('n => document.querySelectorAll("#choose-gallery img").length == 8', arg=8)
            finished(page, 'choose', text='Click on')
            if k == 1 and width == 1280: lab.shot(page, 'choose')
            before = box.input_value()
            page.locator('#choose-gallery img').nth((3, 3, 2)[k]).click()
            page.wait_for_function('b => [...document.querySelectorAll("#choose-replay textarea, #choose-replay input")]'
                                   '.some(e => e.value && e.value != b)', arg=before)
        finished(page, 'choose')
        text, here = box.input_value(), pixels(page, 'choose')
        yield text.endswith('.6-3.13-3.25-2'), f'{width}: {text}'
        friend = lab.open(width)
        tab(friend, 'Choose')
        friend.get_by_label('Replay string').fill(text)
        friend.locator('#choose-again').click()
        finished(friend, 'choose')
        yield np.array_equal(pixels(friend, 'choose'), here), f'{width}: the pasted string makes the same picture'
        if width == 1280: yield np.array_equal(ran(code(friend, 'choose')), here), 'the code does the same'
        friend.get_by_label('Replay string').fill('x' + text[1:])
        friend.locator('#choose-again').click()
        friend.locator('#choose-result .problem').wait_for()
        yield 'allowed' in say('choose-result', friend), f'{width}: {say("choose-result", friend)[:90]}'
        for p in (page, friend): p.context.close()


@check
def a_newcomer_trains_on_ten_pictures(lab):
    "Choose ten pictures, train, see samples, loss and time left, download the model, play with it"
    page = lab.open(390)
    tab(page, 'Train')
    page.locator('#train-data').get_by_text('my pictures').click()
    page.locator('#train-go').click()
    page.locator('#train-result .problem').wait_for()
    yield 'choose some first' in say('train-result', page), f'no pictures: {say("train-result", page)}'
    with page.expect_file_chooser() as chooser: page.locator('#train-upload').click()
    chooser.value.set_files([dict(name=f'{k}.png', mimeType='image/png', buffer=encoded(photograph(k))) for k in range(10)])
    page.locator('#train-said').get_by_text('10 pictures are ready').wait_for()
    number(page.locator('#train-minutes'), 'Minutes', .2)
    page.locator('#train-go').click()
    page.locator('#train-result').get_by_text('left').wait_for(timeout=30_000)
    yield page.locator('#train-result img').count() >= 1 and 'loss' in say('train-result', page), 'samples and loss are live'
    page.wait_for_timeout(5000)
    lab.shot(page, 'train_390')
    finished(page, 'train', 60_000)
    yield page.locator('#train-result img').count() == 2, say('train-result', page).splitlines()[0]
    with page.expect_download() as got: page.locator('#train-take').click()
    with zipfile.ZipFile(got.value.path()) as z: names = z.namelist()
    yield {n.split('/')[1] for n in names} >= {'card.json', 'model.safetensors', 'samples.png', 'loss.png'}, 'zip'
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(got.value.path()) as z: z.extractall(folder)
        lines = (f'from diffnb.learn.run import load\ndenoise = load({str(Path(folder)/names[0].split("/")[0])!r})\n'
                 'import torch\nimages = torch.zeros(1, *denoise.spec.shape)')
        yield ran(lines).shape == (1, 32, 32, 3), 'the downloaded run is a model of colored pictures'
    tab(page, 'Make')
    yield not page.get_by_label('Classes').is_visible(), 'a model without classes has no control for them'
    page.locator('#make-go').click()
    page.locator('#make-result').get_by_text(STEP).wait_for()
    finished(page, 'make')
    yield pixels(page, 'make').shape == (8, 32, 32, 3), 'Make now uses the new model'
    tab(page, 'Score')
    page.locator('#score-go').click()
    page.locator('#score-result .problem').wait_for()
    yield '40 at least' in say('score-result', page), f'too few to score: {say("score-result", page)[:80]}'
    page.context.close()


@check
def train_stop_and_close(lab):
    "One training at a time; Stop keeps what was learned; a closed tab frees the cores within about a second"
    page, other = lab.open(), lab.open()
    for p in (page, other): tab(p, 'Train')
    page.locator('#train-go').click()
    page.locator('#train-result').get_by_text('left').wait_for(timeout=30_000)
    other.locator('#train-go').click()
    other.locator('#train-result .problem').wait_for()
    yield 'another training is running' in say('train-result', other).lower(), say('train-result', other)
    page.wait_for_timeout(12_000 if lab.pictures else 3000)
    lab.shot(page, 'train')
    page.locator('#train-stop').click()
    finished(page, 'train', 15_000)
    yield 'saved in' in say('train-result', page), 'Stop keeps what was learned'
    other.locator('#train-data').get_by_text('a folder').click()
    for path, words in (('/nowhere', 'no data folder'), (str(lab.server.home/'empty'), 'no images'), ('', 'no folder')):
        other.locator('#train-folder textarea, #train-folder input').first.fill(path)
        other.locator('#train-go').click()
        other.locator('#train-result .problem').get_by_text(words).wait_for()
        yield True, f'folder {path!r}: {say("train-result", other)[:80]}'
    page.locator('#train-go').click()
    page.locator('#train-result').get_by_text('left').wait_for(timeout=30_000)
    busy = lab.server.load()
    page.context.close()
    began = time.perf_counter()
    while (idle := lab.server.load(.5)) > .3 and time.perf_counter() - began < 10: pass
    took = time.perf_counter() - began
    yield busy > .3 and idle <= .3, f'load {busy:.0%} before the tab was closed, {idle:.0%} after'
    yield took < 2.5, f'the cores were free within {took:.1f} s (measured every half second)'
    other.context.close()


@check
def score_with_its_floor(lab):
    "A score beside its floor; Stop stops it"
    for width in SIZES:
        page = lab.open(width)
        tab(page, 'Score')
        number(page.get_by_role('tabpanel').filter(has=page.locator('#score-go')), 'Pictures to score', 60)
        page.locator('#score-go').click()
        page.locator('#score-result table').wait_for(timeout=60_000)
        yield 'floor' in say('score-result', page) and 'FD fashion' in say('score-result', page), f'{width}: a table'
        if width == 1280: lab.shot(page, 'score')
        number(page.get_by_role('tabpanel').filter(has=page.locator('#score-go')), 'Pictures to score', 1000)
        page.locator('#score-go').click()
        page.locator('#score-result').get_by_text(' of 1000 pictures').first.wait_for(timeout=15_000)
        began = time.perf_counter()
        page.locator('#score-stop').click()
        finished(page, 'score', 15_000, 'Stopped')
        yield True, f'{width}: stopped after {time.perf_counter() - began:.1f} s'
        page.context.close()


@check
def three_people_at_once(lab):
    "Three tabs draw at the same time, and each gets its own pictures"
    pages = [lab.open(width) for width in (1280, 390, 1280)]
    for k, page in enumerate(pages):
        seed = page.get_by_label('Seed').first
        seed.fill(str(100 + k))
        seed.press('Tab')
    for page in pages: page.locator('#make-go').click()
    for k, page in enumerate(pages):
        page.wait_for_function(f"location.search.includes('seed={100 + k}')")
        finished(page, 'make')
        yield np.array_equal(ran(code(page, 'make')), pixels(page, 'make')), f'person {k + 1} has seed {100 + k}'
    for page in pages: page.context.close()


# Requests that do not come from the page

def post(url, data, kind='application/json', timeout=30):
    "Status and text of the answer"
    request = urllib.request.Request(url, data, {'Content-Type': kind})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r: return r.status, r.read().decode(errors='replace')
    except urllib.error.HTTPError as e: return e.code, e.read().decode(errors='replace')
    except (urllib.error.URLError, ConnectionError, TimeoutError) as e: return 0, str(e)


def call(base, fn, data, session):
    "What the queue answers to one event: the last message, as text"
    body = dict(data=data, fn_index=fn, session_hash=session, event_data=None, trigger_id=None)
    status, text = post(f'{base}gradio_api/queue/join', json.dumps(body).encode())
    if status != 200: return f'{status} {text}'
    last = ''
    with urllib.request.urlopen(f'{base}gradio_api/queue/data?session_hash={session}', timeout=60) as r:
        for line in r:
            if line.startswith(b'data:'): last = line.decode(errors='replace')
            if b'process_completed' in line or b'process_generating' in line: break
    return last


def upload(base, name, content):
    edge = b'xxxxx'
    body = (b'--' + edge + f'\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'.encode()
            + b'Content-Type: image/png\r\n\r\n' + content + b'\r\n--' + edge + b'--\r\n')
    return post(f'{base}gradio_api/upload', body, f'multipart/form-data; boundary={edge.decode()}')


def bomb(width, height):
    "A small PNG file that claims to be large, and is: its rows are there"
    part = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    head = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 2) * height), 9)
    return b'\x89PNG\r\n\x1a\n' + part(b'IHDR', head) + part(b'IDAT', rows) + part(b'IEND', b'')


def hostile(base, config):
    "Two hundred requests that nobody should send, each with its answer"
    fns = {f['id']: f for f in config['dependencies']}
    queued = [k for k, f in fns.items() if f['backend_fn'] and f['inputs']]
    values = [10**9, -1, 'x' * 100_000, None, [1] * 10_000, {'a': 1}, '../../etc/passwd', '/etc/passwd', 1e308, True,
              {'path': '/etc/passwd', 'meta': {'_type': 'gradio.FileData'}}, "'; import os; os.abort() #", '\0', [[]]]
    for k, fn in enumerate(queued * 9):
        if k >= 100: break
        value = values[(k + k // len(queued)) % len(values)]
        yield call(base, fn, [value] * len(fns[fn]['inputs']), f'hostile{k}')
    usual = {c['id']: c['props'].get('value') for c in config['components']}
    for k in range(40):
        fn = queued[k % len(queued)]
        data = [usual[i] for i in fns[fn]['inputs']]
        data[k // len(queued) % len(data)] = values[k % len(values)]
        yield call(base, fn, data, f'near{k}')
    for k in range(10): yield str(post(f'{base}gradio_api/queue/join', [b'', b'{', b'[]', b'null', b'\xff' * 99][k % 5]))
    for k in range(6): yield call(base, [99999, -1, 'x', None, 1.5, []][k], [], f'odd{k}')
    for name in ('../../evil.png', '/etc/evil.png', 'x' * 300 + '.png', 'a\0b.png', '.bashrc', '..'):
        yield str(upload(base, name, encoded(photograph())))
    for content in (b'', b'\x89PNG', encoded(photograph())[:300], bomb(30_000, 30_000), bytes(21_000_000), bytes(40_000_000)):
        yield str(upload(base, 'p.png', content))
    for path in ('gradio_api/run/predict', 'gradio_api/call/make', 'gradio_api/vibe-edit', 'gradio_api/process_recording',
                 'gradio_api/component_server', 'monitoring', 'login', 'gradio_api/run-history/connect'):
        yield str(post(base + path, b'{}'))
    for path in ('gradio_api/file=/etc/passwd', 'gradio_api/file=../../../etc/passwd', 'gradio_api/file=http://127.0.0.1:1/',
                 'gradio_api/proxy=http://127.0.0.1:1/', 'assets/../../../../etc/passwd', 'static/%2e%2e/%2e%2e/etc/passwd',
                 '%2e%2e/etc/passwd', 'docs', 'openapi.json', 'gradio_api/openapi.json', 'gradio_api/runs'):
        yield str(post(base + path, None))


@check
def two_hundred_hostile_requests(lab):
    "Each gets an answer; memory is bounded; nothing is written outside the folder; the server still works"
    config = json.loads(post(f'{lab.server.url}config', None)[1])
    base, files = lab.server.url, set(lab.server.files())
    editor = next(c['id'] for c in config['components'] if c['type'] == 'imageeditor')
    before, answers, began = lab.server.memory(), [], time.perf_counter()
    for answer in hostile(base, config): answers.append(answer)
    edge = 'xxxxx'
    for index in ('999999999', '-1', 'x', '0'):
        parts = {'data[type]': 'layer', 'data[index]': index, 'data[id]': 'a', 'session_hash': 'h', 'fn_name': 'accept_blobs',
                 'component_id': str(editor)}
        body = ''.join(f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in parts.items())
        body += f'--{edge}\r\nContent-Disposition: form-data; name="data[file]"; filename="f"\r\n\r\nabc\r\n--{edge}--\r\n'
        answers.append(str(post(f'{base}gradio_api/component_server', body.encode(), f'multipart/form-data; boundary={edge}')))
    while len(answers) < 200: answers.append(call(base, 0, [['x']], f'more{len(answers)}'))
    silent = [a for a in answers if not a or a.startswith('(0')]
    if os.environ.get('PLAY_ANSWERS'): print(*(a[:300] for a in answers), sep='\n')
    took = time.perf_counter() - began
    yield len(answers) >= 200 and len(silent) <= 2, f'{len(answers)} requests in {took:.0f} s, {len(silent)} cut off'
    yield not any('root:' in a for a in answers), 'no file of the system was read'
    yield not any('Traceback' in a for a in answers), 'no traceback in an answer'
    grown = lab.server.memory('VmHWM') - before
    yield grown < 700, f'memory {before:.0f} MB before, at most {grown:.0f} MB more'
    new = [f for f in set(lab.server.files()) - files if not f.startswith(('tmp/diffnb-play-', 'runs/', '.config', '.cache'))]
    yield not new and not Path('/etc/evil.png').exists(), f'nothing written elsewhere: {new}'
    page = lab.open()
    page.locator('#make-again').click()
    finished(page, 'make')
    yield True, 'the page still works'
    page.context.close()


@check
def commands_that_cannot_work(lab):
    "A port in use, a folder that is not a run: one line, exit status 2"
    env = {**os.environ, 'PYTHONPATH': str(TOP)}
    for options, words in ((['--port', str(lab.server.port)], 'is in use'), ([str(lab.server.home)], 'has no card.json'),
                           (['/nowhere'], 'no run folder'), (['--port', '99999'], 'whole numbers from 0')):
        p = subprocess.run([*COMMAND, *options, '--headless'], env=env, capture_output=True, text=True, timeout=60)
        yield p.returncode == 2 and words in p.stderr and p.stderr.count('\n') == 1, f'{options[0]}: {p.stderr.strip()[:110]}'


def checked(server, chromium_at, args):
    "Run the checks: numbers of passed and failed ones"
    passed = failed = 0
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium_at, args=FLAGS)
        lab = Lab(server, browser)
        lab.pictures = args.screenshots
        for f in CHECKS:
            if args.only not in f.__name__: continue
            began = time.perf_counter()
            lab.said.clear()
            try:
                for good, what in f(lab):
                    passed, failed = passed + bool(good), failed + (not good)
                    print(f'  {"ok    " if good else "FAILED"} {what}', flush=True)
            except Exception as e:
                failed += 1
                print(f'  FAILED {type(e).__name__}: {str(e)[:700]}', flush=True)
                for c in browser.contexts: c.close()
            quiet = not lab.said
            passed, failed = passed + quiet, failed + (not quiet)
            print(f'{f.__name__}: {time.perf_counter() - began:.0f} s; console: {lab.said[:3] or "quiet"}', flush=True)
        browser.close()
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--screenshots', type=Path)
    parser.add_argument('--only', default='')
    args = parser.parse_args()
    at = chromium()
    if not at: sys.exit('no Chromium on this machine')
    server = Server()
    try: passed, failed = checked(server, at, args)
    finally: status = server.end()
    left = [f for f in server.files() if f.startswith('tmp/')]
    good = status == 0 and not left
    passed, failed = passed + good, failed + (not good)
    print(f'ended with status {status}; temporary files left: {left[:5]}')
    log = (server.home/'log').read_text()
    if log: print(f'standard error of the server, {len(log.splitlines())} lines:', *log.splitlines()[-12:], sep='\n  ')
    if not failed: shutil.rmtree(server.home)
    print(f'{passed} passed, {failed} failed')
    return int(failed > 0)


if __name__ == '__main__': sys.exit(main())
