#!/usr/bin/env python3
"""Known answers for what the scripts in this folder decide. .ci/test.py --selftest runs them."""
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import book
import cards
import gates
import pages
import plan
import reference
import test


def notebook(*cells):
    "A notebook with these code cells, as text"
    made = [dict(cell_type='code', id=f'c{i}', source=s, outputs=[]) for i, s in enumerate(cells)]
    return json.dumps(dict(cells=made))


def a_package(top):
    "Two modules, of which the second imports the first inside a function, and a page that imports the second"
    for folder in ('diffnb/low', 'diffnb/high', 'nbs/low', 'nbs/howto'): (top/folder).mkdir(parents=True)
    for f in ('diffnb', 'diffnb/low', 'diffnb/high'): (top/f/'__init__.py').write_text('')
    (top/'diffnb/low/a.py').write_text('one = 1\n')
    (top/'diffnb/low/b.py').write_text('two = 2\n')
    (top/'diffnb/high/c.py').write_text('def f():\n    from ..low.a import one\n    return one\n')
    (top/'settings.ini').write_text('[DEFAULT]\nconsole_scripts = diffnb_do=diffnb.low.b:do\n')
    (top/'nbs/low/01_a.ipynb').write_text(notebook('#| default_exp low.a', '#| export\none = 1'))
    cells = 'from diffnb.high.c import f', '#| slow\nassert f() == 1  # as promised'
    (top/'nbs/howto/page.ipynb').write_text(notebook(*cells))
    return pages.Page(top/'nbs/howto/page.ipynb', top)


def imports_are_followed():
    "A page depends on what its imports import, and on the module of a command that it names"
    with tempfile.TemporaryDirectory() as d:
        top = Path(d).resolve(); page = a_package(top)
        found = pages.Modules(top).of_page(page)
        assert found == {'high', 'high.c', 'low', 'low.a'}, found
        assert pages.imports('from . import b', 'low.a') == {'low', 'low.b'}
        assert pages.imports('import diffnb.low.a, math\n%time 1') == {'low.a'}
        assert pages.Page(top/'nbs/low/01_a.ipynb', top).module == 'low.a'
        named = SimpleNamespace(cells=[pages.Cell('x', "run('diffnb_do --now')")], module=None)
        assert pages.Modules(top).of_page(named) == {'low', 'low.b'}


def a_hash_tells_what_changed():
    "Comments do not count; the page's code, a module's code and what is slow do"
    with tempfile.TemporaryDirectory() as d:
        top = Path(d).resolve(); page = a_package(top)
        first = pages.hashes(page, pages.Modules(top))
        record = dict(first, passed='2026-01-01')
        now = lambda: pages.hashes(pages.Page(page.path, top), pages.Modules(top))
        (top/'diffnb/low/a.py').write_text('# one is one\n\none = 1   # still\n')
        assert plan.why_due(record, now()) is None
        (top/'diffnb/low/b.py').write_text('two = 3\n')
        assert plan.why_due(record, now()) is None   # nobody here imports it
        (top/'diffnb/low/a.py').write_text('one = 2\n')
        assert plan.why_due(record, now()) == 'code that it imports changed'
        page.path.write_text(notebook('from diffnb.high.c import f', '#| slow\nassert f() == 2'))
        assert plan.why_due(record, now()) == 'its own code changed'
        assert plan.why_due(None, now()) == plan.why_due({'fast': 1.}, now()) == 'not in the record'
    assert pages.without_comments("a = '# no'  # yes\n\nb = f'{a}#'\n") == "a = '# no'\nb = f'{a}#'"
    told = 'class A:\n    "One"\n    def f(self): "Two"\n    def g(self):\n        """Three\n        lines"""\n        return "é"\n'
    assert pages.without_comments(told) == 'class A:\n    def f(self):\n    def g(self):\n        return "é"', pages.without_comments(told)


def everyone_has_a_turn():
    "In as many days as there are pages, each is first once; changed pages come before all others"
    assert {plan.rotated('abc', day)[0] for day in range(3)} == set('abc')
    due = dict(z='its own code changed', y='code that it imports changed', x='not in the record')
    assert plan.order(due, ['a', 'b'], 0) == ['x', 'z', 'y', 'a', 'b']
    assert plan.order(due, ['a', 'b'], 1) == ['z', 'x', 'y', 'b', 'a']


def a_budget_is_kept():
    "Pages that share the machine cost half; what does not fit is left, what is smaller may still fit"
    seconds = dict(a=100, b=100, c=400, d=20)
    assert plan.fitting('abcd', seconds, {'a'}, 170) == (['a', 'b', 'd'], ['c'], 160.)
    assert plan.fitting('abcd', seconds, set(), float('inf'))[1] == []
    assert plan.expected(None, 2) == 243 and plan.expected(dict(slow=30., fast=10.), 2, speed=1.5) == 63


def slowness_is_seen():
    "Three times as slow and 20 seconds more, on a machine whose speed is known from the other pages"
    record = dict(a=10., b=20., c=30., d=40., e=50.)
    slow_machine = {n: 2*s for n, s in record.items()}
    assert plan.machine_speed(slow_machine, record) == 2 and plan.machine_speed(dict(a=100.), record) == 1
    assert plan.slower(slow_machine, record, 2.) == {}
    assert plan.slower(dict(slow_machine, c=200.), record, 2.) == dict(c=(200., 60.))
    assert plan.slower(dict(a=29.), dict(a=1.)) == dict(a=(29., 1.)) and plan.slower(dict(a=19.), dict(a=1.)) == {}
    assert plan.slower(dict(new=1000.), record) == {}


def slowness_is_named():
    "A page that became slow is reported with its slowest cell, by id"
    cell = lambda i, s, slow=False: dict(id=i, seconds=s, slow=slow)
    done = dict(p=dict(cells=[cell('c0', 2.), cell('c1', 90.), cell('c2', 500., True)]))
    record = dict(p=dict(fast=12., slow=480., cells=dict(c1=10., c2=480.)))
    found = test.too_slow(done, record, False, 1.)
    assert len(found['p']) == 2 and 'cell c1' in found['p'][0] and '92 s instead of 12 s' in found['p'][0], found
    assert test.too_slow(done, record, True, 1.) == {} and test.too_slow(done, {}, False, 1.) == {}


def the_record_keeps_what_was_not_run():
    "A run of fast cells leaves what is known of slow cells alone, and the reverse"
    page = SimpleNamespace(cells=[pages.Cell('c0', 'a'), pages.Cell('c1', '#| slow\nb')])
    before = dict(fast=1., slow=50., cells=dict(c1=50., gone=7.), own='x', imports='y', passed='2026-01-01')
    done = dict(cells=[dict(id='c0', seconds=8.04, slow=False)])
    fast = test.updated(before, page, done, False, dict(own='z'), '2026-02-02')
    assert fast == dict(before, fast=8., cells=dict(c0=8., c1=50.)), fast
    both = dict(cells=[dict(id='c0', seconds=6., slow=False), dict(id='c1', seconds=3., slow=True)])
    slow = test.updated(fast, page, both, True, dict(own='z', imports='y'), '2026-02-02')
    assert slow == dict(fast=8., slow=3., cells=dict(c0=8.), own='z', imports='y', passed='2026-02-02'), slow


def a_page_with_a_clock_is_alone():
    "A slow cell that measures time makes its page run alone; a comment about it does not"
    with tempfile.TemporaryDirectory() as d:
        path = Path(d)/'p.ipynb'
        timed, counted, fast = '#| slow\nfit(minutes=2)', '#| slow\nfit(steps=2) # no minutes', 'fit(minutes=.1)'
        for code, alone in ((timed, True), (counted, False), (fast, False)):
            path.write_text(notebook(code)); assert pages.Page(path, Path(d)).alone is alone, code


def outputs_are_compared():
    "Other numbers and other pictures are seen; other seconds and other addresses are not"
    def cell(text, source='f()'):
        return SimpleNamespace(cells=[Note(cell_type='code', id='c', source=source, outputs=[dict(text=text)])])
    assert book.changed_outputs(cell('3 of 4 in 2.1 s'), cell('3 of 4 in 17 s')) == []
    assert book.changed_outputs(cell('3 of 4 in 2.1 s'), cell('2 of 4 in 2.1 s'))[0][0] == 'c'
    assert book.changed_outputs(cell('12.5', 'fit(minutes=1)'), cell('11.5', 'fit(minutes=1)')) == []
    assert book.changed_outputs(cell('<f at 0x7f00>'), cell('<f at 0x7f11>')) == []


class Note(dict):
    "A cell as nbdev reads it: a dictionary whose keys are attributes too"
    __getattr__ = dict.__getitem__


FUNCTION = """
def f(
    a: int, b: int,           # two numbers
    *args: 'Later',           # others
    name: str = 'x',          # a name,
                              # with more to say
    **kw,
) -> tuple[int, str]:         # what came out
    "Says it"
"""
CLASS = """
@dataclass
class C(Base):
    "A class"
    x: float = .5       # half
    _y: int = 0
    def run(self, n: int = 1) -> int:
        "Go"
    @property
    def size(self) -> int:
        "How large"
    @staticmethod
    def make(): "Another one"
    def _hidden(self): "no"
    def undocumented(self): pass
"""


def entries_are_read_from_the_source():
    "Signature, comments and methods of a function and a class, in the order in which they are written"
    f = reference.read(FUNCTION)
    assert str(f) == "def f(a: int, b: int, *args: Later, name: str = 'x', **kw) -> tuple[int, str]", str(f)
    said = [('`a`, `b`', 'two numbers'), ('`*args`', 'others'), ('`name`', 'a name, with more to say')]
    assert reference.explained(f) == [*said, ('returns', 'what came out')], reference.explained(f)
    c = reference.read(CLASS)
    assert str(c) == 'class C(x: float = .5)' and [str(m) for m in c.methods] == [
        'def C.run(n: int = 1) -> int', 'C.size: int', 'def C.make()']
    assert str(reference.read('class E(Exception): "Bad"')) == 'class E'
    assert str(reference.read('def g(x, /, y=1, *, z=2): "Go"')) == 'def g(x, /, y=1, *, z=2)'
    long = reference.read(f"def h({', '.join(f'argument_{i}: int = {i}' for i in range(9))}): 'Long'")
    assert str(long).startswith('def h(\n') and max(map(len, str(long).splitlines())) <= reference.WIDTH
    text = reference.markdown(c, 2, 'https://x/y.py#L1')
    assert [line for line in text.splitlines() if line[:1] == '#'] == ['## C', '### C.run', '### C.size', '### C.make']


def pages_are_arranged():
    "Entries of one cell come in the order of their definitions, above its source; no link stands in another or in code"
    place = reference.places(['import x', 'def f(): pass\nclass G: pass', 'def h(): pass', 'def i(): pass'])
    made = [None, ('entry', ['G']), ('source', ['f', 'G']), ('entry', ['f']), ('entry', ['h']), None, ('entry', ['i'])]
    assert reference.in_order(made, place) == [0, 3, 1, 2, 4, 5, 6], reference.in_order(made, place)
    for text, wanted in (('[see [`f`](a.html#f) here](b.html)', '[see `f` here](b.html)'),
                         ('[`f`](a.html#f) and [b](b.html)', '[`f`](a.html#f) and [b](b.html)'),
                         ('![a [`f`](a.html)](b.png)', '![a [`f`](a.html)](b.png)'),
                         ('<summary>Why [`f`](a.html#f) or `g`?</summary>',
                          '<summary>Why <code>f</code> or <code>g</code>?</summary>'),
                         ('```python\nx # of [`f`](a.html#f)\n```', '```python\nx # of f\n```')):
        assert reference.without_nested_links(text) == wanted, (text, reference.without_nested_links(text))


def printed_sentences_are_wrapped():
    "A long sentence goes on a line below, further in; a table and a short line stay"
    sentence, table = '  ' + 'word ' * 30, 'name  ' * 30
    new = reference.wrapped(f'{sentence}\n{table}\nshort\n').split('\n')
    assert max(map(len, new[:2])) <= reference.WIDTH and new[0][:7] == '  word ' and new[1][:7] == ' ' * 6 + 'w', new
    assert new[-3:] == [table, 'short', ''], new


def questions_become_cards():
    "Question, answer and links, for a page and for Anki; what stands before the heading is no question"
    block = '<details><summary>{}</summary>\n\n{}\n\n</details>'.format
    text = '\n\n'.join([block('no', 'no'), cards.HEADING, block('Why `f`?', 'So: a < b. See [here](#there).'),
                        block('And?', '[So](../b/02_y.ipynb#z) or [x](https://x.org).')])
    page = [dict(cell_type='markdown', source=['# Title\n', '\n', '> sub']), dict(cell_type='markdown', source=text)]
    found = cards.cards_of('a/01_x.ipynb', page)
    assert [c.question for c in found] == ['Why `f`?', 'And?'] and found[0].title == 'Title'
    rows = cards.anki(found, 'https://s').splitlines()[3:]
    assert rows[0] == 'Why <code>f</code>?\tSo: a &lt; b. See <a href="https://s/a/x.html#there">here</a>.\ta::x', rows
    assert 'href="https://s/b/y.html#z"' in rows[1] and 'href="https://x.org"' in rows[1], rows
    shown = cards.markdown(found, 'c/q.ipynb')
    assert '**[Title](../a/01_x.ipynb)**' in shown and '[here](../a/01_x.ipynb#there)' in shown, shown
    assert '[So](../b/02_y.ipynb#z)' in shown, shown
    order = ['index.ipynb', dict(section='s', contents=['b/2.ipynb', 'b/1.ipynb']), dict(section='t', contents='a/*.ipynb')]
    names = [SimpleNamespace(name=f'nbs/{n}.ipynb') for n in ('a/1', 'a/2', 'b/1', 'b/2', 'lost', 'index')]
    assert [p.name[4:-6] for p in cards.in_reading_order(names, order)] == ['index', 'b/2', 'b/1', 'a/1', 'a/2']


def directives_stand_at_the_top():
    "A `#|` line further down or inside a string is no directive; below a cell magic it is one"
    assert pages.directives('#| hide\n#| fig-alt: "a"\nx\n#| slow') == {'hide': '', 'fig-alt': '"a"'}
    assert pages.directives('x = """\n#| slow\n"""') == {} and pages.directives('%%time\n#| slow\nx') == {'slow': ''}
    for source, tested in (('#| eval: false', False), ('#|eval:false', False), ('# | notest', False), ('#| slow', True),
                           ('#| eval: true', True), ('x = """\n#| eval: false\n"""', True)):
        assert pages.Cell('c', source + '\nx').tested is tested, source


def what_nbdev_test_leaves_out_is_not_run_again():
    "Marked cells and pages with skip_exec keep their outputs; others get new ones, and words in a string are no mark"
    with tempfile.TemporaryDirectory() as d:
        def ran(*cells, front='', slow=False):
            path = Path(d)/'p.ipynb'
            made = json.loads(notebook(*cells))['cells']
            if front: made.insert(0, dict(cell_type='raw', id='front', source=f'---\ntitle: x\n{front}\n---\n'))
            full = [dict(metadata={}, **c) for c in made]
            path.write_text(json.dumps(dict(cells=full, metadata={}, nbformat=4, nbformat_minor=5)))
            return [c.id for c in book.run_again(path, slow).cells if c.get('outputs')]
        for mark in ('#| eval: false', '#|eval:false', '# | notest', '#| slow', '%%time\n#| slow', '#| notest'):
            assert ran('1', f'{mark}\n2') == ['c0'], mark
        assert ran('1', '#| slow\n2', slow=True) == ['c0', 'c1']
        assert ran('"""\n#| eval: false\n#| slow"""', '#| eval: true\n1', '1\n#| slow\n2') == ['c0', 'c1', 'c2']
        assert ran('1', front='skip_exec: true') == [] and ran('1', front='skip_exec: false') == ['c0']
        (Path(d)/'words.ipynb').write_text('words')
        try: book.run_again(Path(d)/'words.ipynb'); raise AssertionError('words were taken for a notebook')
        except ValueError as e: assert 'is not a notebook' in str(e)


def main():
    "Run all; exit status"
    checks = [imports_are_followed, a_hash_tells_what_changed, everyone_has_a_turn, a_budget_is_kept, slowness_is_seen,
              slowness_is_named, the_record_keeps_what_was_not_run, a_page_with_a_clock_is_alone, outputs_are_compared,
              entries_are_read_from_the_source, pages_are_arranged, printed_sentences_are_wrapped,
              questions_become_cards, directives_stand_at_the_top,
              what_nbdev_test_leaves_out_is_not_run_again, *gates.selftests()]
    for f in checks: f(); print('passed ', f.__name__.replace('_', ' '))
    print(f'{len(checks)} passed, 0 failed')
    return 0


if __name__ == '__main__': sys.exit(main())
