"""The questions at the ends of the pages, collected: as Markdown for a page, and as cards for Anki.

A page ends in a cell '## Questions' with blocks of this form, which every renderer of Markdown folds:

    <details><summary>Question?</summary>

    Answer, with a link to the place.

    </details>
"""
import html
import posixpath
import re
from dataclasses import dataclass

HEADING = '## Questions'
BLOCK = re.compile(r'<details><summary>(.+?)</summary>\n\n(.+?)\n\n</details>', re.S)
LINK = re.compile(r'\[([^\]]+)\]\(([^)\s]+)\)')
CODE = re.compile(r'`([^`]+)`')
HEADER = '#separator:tab\n#html:true\n#tags column:3\n'


@dataclass(frozen=True)
class Card:
    "One question, and where it stands"
    page: str        # path of the notebook below nbs/
    title: str       # of the page
    question: str    # Markdown, without links
    answer: str      # Markdown; its links are relative to the page


def title_of(cells):
    "The title of a page"
    return next(m[1] for c in cells if (m := re.match(r'# (.+)', ''.join(c['source']))))


def cards_of(name, cells):
    "The cards of one page, in order"
    text = '\n\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'markdown')
    found = BLOCK.findall(text.partition(HEADING)[2])
    return [Card(name, title_of(cells), ' '.join(q.split()), ' '.join(a.split())) for q, a in found]


def as_page(name, target):
    "Where a link of a page leads, as a path of a page of the site with its anchor"
    path, _, anchor = target.partition('#')
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
    folder, file = posixpath.split(re.sub(r'\.ipynb$', '.html', path))
    return posixpath.join(folder, re.sub(r'^\d+_', '', file)) + (f'#{anchor}' if anchor else '')


def linked(card, to):
    "The answer, with each link changed by `to(text, target)`; addresses stay as they are"
    return LINK.sub(lambda m: m[0] if '://' in m[2] else to(m[1], m[2]), card.answer)


def markdown(cards, page):
    "All questions below the titles of their pages, for a page of the site at `page`"
    out, last = [], None
    up = lambda name: posixpath.relpath(name, posixpath.dirname(page))
    def here(card):
        path = lambda target: posixpath.normpath(posixpath.join(posixpath.dirname(card.page), target.partition('#')[0]))
        anchor = lambda target: target.partition('#')[1] + target.partition('#')[2]
        whole = lambda target: up(path(target) if target[0] != '#' else card.page) + anchor(target)
        return linked(card, lambda text, target: f'[{text}]({whole(target)})')
    for card in cards:
        if card.page != last: out.append(f'**[{card.title}]({up(card.page)})**')
        out.append(f'<details><summary>{card.question}</summary>\n\n{here(card)}\n\n</details>')
        last = card.page
    return '\n\n'.join(out)


def as_html(text):
    "Code and links of Markdown as HTML"
    text = CODE.sub(r'<code>\1</code>', html.escape(text, quote=False))
    return LINK.sub(r'<a href="\2">\1</a>', text)


def anki(cards, base):
    "The cards as text that Anki imports: question, answer and a tag for the page, with tabs between; `base`: the site"
    def row(card):
        absolute = linked(card, lambda text, target: f'[{text}]({base}/{as_page(card.page, target)})')
        tag = posixpath.splitext(as_page(card.page, ''))[0].replace('/', '::')
        return '\t'.join((as_html(card.question), as_html(absolute), tag))
    return HEADER + ''.join(row(card) + '\n' for card in cards)


def collected(pages):
    "The cards of all pages, in the given order"
    below = lambda page: page.name.removeprefix('nbs/')
    return [card for page in pages for card in cards_of(below(page), page.notebook['cells'])]


def in_reading_order(pages, sidebar):
    "Pages in the order of the sidebar; the others are left out. `sidebar`: contents as in _quarto.yml"
    found, names = [], {page.name.removeprefix('nbs/'): page for page in pages}
    for entry in sidebar if isinstance(sidebar, list) else [sidebar]:
        if isinstance(entry, dict): found += in_reading_order(pages, entry.get('contents', []))
        elif entry.endswith('/*.ipynb'): found += [p for n, p in sorted(names.items()) if posixpath.dirname(n) == entry[:-8]]
        elif entry in names: found.append(names[entry])
    return found
