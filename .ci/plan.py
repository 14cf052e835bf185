"""Which pages' slow cells have their turn, and which pages became slow: decisions only, without files or clocks."""
from statistics import median

UNKNOWN = 120.   # seconds expected of a slow cell that was never timed
START = 3.       # seconds until a page's first cell runs
RATIO, MARGIN = 3., 20.   # so many times the recorded seconds and so many seconds more is much slower


def why_due(record, now):
    "Why a page's slow cells are due: the reason in words, or None; `record` is what is committed, `now` are its hashes"
    if not record or 'passed' not in record: return 'not in the record'
    if record['own'] != now['own']: return 'its own code changed'
    if record['imports'] != now['imports']: return 'code that it imports changed'
    return None


def expected(record, slow_cells, speed=1.):
    "Seconds that a page with so many slow cells will take, its fast cells included"
    known = bool(record) and 'slow' in record
    return START + speed*(record['slow'] + record.get('fast', 0) if known else UNKNOWN*slow_cells)


def rotated(names, day):
    "The same names, beginning with another one each day"
    names = sorted(names)
    first = day % len(names) if names else 0
    return names[first:] + names[:first]


def order(due, others, day):
    """All names: changed pages before those whose imports changed before the others

    Inside each group every page has a day on which it is first.
    """
    own = [n for n, why in due.items() if why != 'code that it imports changed']
    return rotated(own, day) + rotated([n for n in due if n not in own], day) + rotated(others, day)


def fitting(names, seconds, alone, budget, jobs=2):
    """(names that fit into the budget of seconds, taken in this order, names that are left, seconds used)

    Pages that are not `alone` run several at a time, so each costs only its share of its seconds.
    """
    taken, left, used = [], [], 0.
    for n in names:
        cost = seconds[n]/(1 if n in alone else jobs)
        if used + cost <= budget: taken.append(n); used += cost
        else: left.append(n)
    return taken, left, used


def machine_speed(now, record, least=4):
    """How many times the recorded seconds this machine takes: the median over pages

    It is 1 if fewer than `least` pages are known to take 2 seconds or more.
    """
    ratios = [now[n]/record[n] for n in now if record.get(n, 0) >= 2]
    return median(ratios) if len(ratios) >= least else 1.


def slower(now, record, speed=1.):
    "{name: (seconds now, seconds expected)} of what became much slower than its record, the machine's speed apart"
    return {n: (s, record[n]*speed) for n, s in now.items()
            if n in record and s > RATIO*record[n]*speed and s > record[n]*speed + MARGIN}
