"""Which pages' slow cells have their turn, and which pages became slow: decisions only, without files or clocks."""
from statistics import median

UNKNOWN = 120.   # seconds expected of a slow cell that was never timed
RATIO, MARGIN = 3., 20.   # so many times the recorded seconds and so many seconds more is much slower


def why_due(record, now):
    "Why a page's slow cells are due: the reason in words, or None; `record` is what is committed, `now` are its hashes"
    if not record or 'passed' not in record: return 'not in the record'
    if record['own'] != now['own']: return 'its own code changed'
    if record['imports'] != now['imports']: return 'code that it imports changed'
    return None


def expected(record, slow_cells, speed=1.):
    "Seconds that a page with so many slow cells will take, its fast cells included"
    known = record and record.get('slow')
    return speed*(record['slow'] + record.get('fast', 0) if known else UNKNOWN*slow_cells)


def rotated(names, day):
    "The same names, beginning with another one each day"
    names = sorted(names)
    first = day % len(names) if names else 0
    return names[first:] + names[:first]


def order(due, others, day):
    "Changed pages before those whose imports changed before all others; inside each group every page has a day on which it is first"
    own = [n for n, why in due.items() if why != 'code that it imports changed']
    return rotated(own, day) + rotated([n for n in due if n not in own], day) + rotated(others, day)


def fitting(names, seconds, alone, budget, jobs=2):
    "Split names, in this order, into those that fit into the budget and those that are left; pages that are not `alone` share it"
    taken, left, used = [], [], 0.
    for n in names:
        cost = seconds[n]/(1 if n in alone else jobs)
        if used + cost <= budget: taken.append(n); used += cost
        else: left.append(n)
    return taken, left, used


def machine_speed(now, record, least=4):
    "How many times the recorded seconds this machine takes: the median over pages; 1 if fewer than `least` of 2 seconds or more are known"
    ratios = [now[n]/record[n] for n in now if record.get(n, 0) >= 2]
    return median(ratios) if len(ratios) >= least else 1.


def slower(now, record, speed=1.):
    "{name: (seconds now, seconds expected)} of what became much slower than its record, the machine's speed apart"
    return {n: (s, record[n]*speed) for n, s in now.items()
            if n in record and s > RATIO*record[n]*speed and s > record[n]*speed + MARGIN}
