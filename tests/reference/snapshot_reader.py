"""Reads snapshots as docs/protocol.md and docs/snapshot-codec.md say, and shares no code with the server: if it reads
tests/vectors/snapshots.txt and drifting.txt, a client that is written from the documents reads what the server sends.

python3 tests/reference/snapshot_reader.py      exit code 1 if any line of the vectors is read otherwise
"""

import heapq
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MASK_64 = (1 << 64) - 1


class Refused(Exception):
    """A part that must not be taken."""


# Numbers.


def quotient(a, b):
    """Rounds towards 0, where Python's // rounds down."""
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def clamp(value, low, high):
    return max(low, min(high, value))


def clip(value):
    return clamp(value, -1 << 20, 1 << 20)


def sign(value):
    return (value > 0) - (value < 0)


def root(value):
    return math.isqrt(max(value, 0))


def scale(value):
    value = abs(value)
    if value < 4:
        return value
    place = value.bit_length() - 1
    return 2 * place + (value >> (place - 1) & 1)


def over(value, gap, age):
    if gap == 0:
        return 0
    if gap == age:
        return value
    doubled = 2 * value * age
    return quotient(doubled + gap * sign(doubled), 2 * gap)


# The file of tables.

SYMBOLS = {"axis": 60, "turn": 60, "lane": 60, "mask": 2, "skip": 60, "rank": 4, "glide": 34, "free": 60}
OTHER_SYMBOLS = {"head": 3, "step": 5, "how": 4, "odd": 2, "wakes": 2, "odd-gap": 60, "wake-gap": 60}
FITS = {"axis": (272, 3, 8), "turn": (221, 2, 8), "rolled": (100, 4, 20), "contact": (256, 3, 8)}


def shares_of(counts, symbols):
    counts = counts + [0] * (symbols - len(counts))
    total = max(sum(counts), 1)
    shares = [1 + count * (16_384 - symbols) // total for count in counts]
    shares[shares.index(max(shares))] += 16_384 - sum(shares)
    return shares


def code_lengths(shares):
    weights = shares
    while True:
        nodes = [(weight, number) for number, weight in enumerate(weights)]
        heapq.heapify(nodes)
        parents, number = {}, len(weights)
        while len(nodes) > 1:
            (first, a), (second, b) = heapq.heappop(nodes), heapq.heappop(nodes)
            parents[a] = parents[b] = number
            heapq.heappush(nodes, (first + second, number))
            number += 1
        depths = {number - 1: 0}
        for node in range(number - 2, -1, -1):
            depths[node] = depths[parents[node]] + 1
        lengths = [depths[symbol] for symbol in range(len(weights))]
        if max(lengths) <= 12:
            return lengths
        weights = [(weight + 1) // 2 + 1 for weight in weights]


def code_of(counts, symbols):
    """Symbols by (length, code)."""
    lengths = code_lengths(shares_of(counts, symbols))
    code, length_before, codes = 0, 0, {}
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths)):
        code <<= length - length_before
        codes[(length, code)] = symbol
        code, length_before = code + 1, length
    return codes


class Tables:
    def __init__(self, data):
        self.lines = data.decode("ascii").splitlines()
        self.at = 1
        if self.lines[0] != "arbiter-codec 4":
            raise SystemExit("the tables have another version")
        self.fits, self.trees = {}, {}
        while self.at < len(self.lines):
            words = self.line()
            if words[0] == "fit":
                keys, inputs, _ = FITS[words[1]]
                self.fits[words[1]] = [[int(word) for word in self.line()] for _ in range(keys)]
                assert all(len(line) == inputs for line in self.fits[words[1]])
            else:
                assert words[0] == "tree"
                self.trees[(words[1], words[2])] = self.node({**SYMBOLS, **OTHER_SYMBOLS}[words[2]])

    def line(self):
        self.at += 1
        return self.lines[self.at - 1].split()

    def node(self, symbols):
        mark, *numbers = self.line()
        numbers = [int(number) for number in numbers]
        if mark == "l":
            return code_of(numbers, symbols)
        assert mark == "s"
        feature, threshold = numbers
        first = self.node(symbols)
        return feature, threshold, first, self.node(symbols)

    def fit(self, name, key, inputs):
        shift = FITS[name][2]
        limit = 1 << 38
        total = sum(weight * clamp(value, -limit, limit) for weight, value in zip(self.fits[name][key], inputs))
        return (total + (1 << (shift - 1))) >> shift

    def code(self, model, features):
        node = self.trees[("shared", model)]
        while isinstance(node, tuple):
            feature, threshold, first, second = node
            value = features[feature] if feature < len(features) else 0
            node = first if value <= threshold else second
        return node


def hash_of(data):
    """The hash of the tables."""
    seed, key = 0x2D358DCCAA6C78A5, 0x9E3779B97F4A7C15
    state = seed

    def mix(value):
        nonlocal state
        product = (state ^ value) * key
        mixed = ((product & MASK_64 ^ product >> 64) + seed) & MASK_64
        state = (mixed << 23 | mixed >> 41) & MASK_64

    for a, b in zip(data[::2], data[1::2]):
        mix(a + (b << 32))
    if len(data) % 2:
        mix(data[-1] + (1 << 63))
    mix(key)
    return state


# The stream.


class Bits:
    def __init__(self, data):
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def get(self, count):
        if count > self.left:
            raise Refused("an end inside a value")
        value = self.value & (1 << count) - 1
        self.value >>= count
        self.left -= count
        return value

    def symbol(self, tables, model, features):
        codes = tables.code(model, features)
        code = 0
        for length in range(1, 13):
            code = code << 1 | self.get(1)
            if (length, code) in codes:
                return codes[(length, code)]
        raise Refused("a code that no symbol has")

    def difference(self, tables, model, features):
        symbol = self.symbol(tables, model, features)
        if symbol == 59:
            octave = min(self.get(5), 30)
            negative = self.get(1)
            value = (1 << octave) + self.get(octave)
            return -value if negative else value
        number = (symbol + 1) // 2
        if number < 8:
            value = number
        elif number < 24:
            octave = 3 + (number - 8) // 4
            value = ((4 + (number - 8) % 4) << (octave - 2)) + self.get(octave - 2)
        else:
            octave = 7 + (number - 24) // 2
            value = ((2 + (number - 24) % 2) << (octave - 1)) + self.get(octave - 1)
        return value if symbol % 2 else -value


# Groups.

AXES, TURN, LINEAR, HOLD, DRIFT, SPIN = range(6)


class Group:
    def __init__(self, kind, at, lanes):
        self.kind, self.at = kind, at
        self.lanes = range(at, at + (3, 4, 1, 1, 3, 4)[kind])
        self.max = min(lanes[self.lanes[-1]]["max"], (1 << 31) - 1)


def groups_of(lanes):
    groups, at = [], 0
    while at < len(lanes):
        run = 1
        while at + run < len(lanes) and all(lanes[at + run][key] == lanes[at][key] for key in ("of", "field")):
            run += 1
        predictor = lanes[at]["predictor"]
        if predictor in ("linear", "drift"):
            vector = AXES if predictor == "linear" else DRIFT
            kind = vector if run % 3 == 0 else LINEAR
        elif predictor == "spin":
            kind = SPIN if run % 4 == 0 and lanes[at + 3]["max"] <= 65_535 else HOLD
        else:
            kind = TURN if predictor == "rotation" and run % 4 == 0 else HOLD
        groups.append(Group(kind, at, lanes))
        at = groups[-1].lanes[-1] + 1
    return groups


# Rotations.

ONE, HALF = 16_384, 11_585


def turn_of(lanes, group):
    out = min(lanes[group.at], 3)
    parts = [quotient((2 * lane - group.max) * HALF, max(group.max, 1)) for lane in lanes[group.at + 1 : group.at + 4]]
    parts.insert(out, root(ONE * ONE - sum(part * part for part in parts)))
    return parts


def lane_of(part, most):
    return clamp((part * most + HALF * most + HALF) // (2 * HALF), 0, most)


def dot(a, b):
    return quotient(sum(x * y for x, y in zip(a, b)), ONE)


def normal(turn):
    length = root(sum(part * part for part in turn))
    return [quotient(part * ONE, length) for part in turn] if length else [0, 0, 0, ONE]


def spin(v, q):
    return [
        v[0] * q[3] + v[1] * q[2] - v[2] * q[1],
        v[1] * q[3] + v[2] * q[0] - v[0] * q[2],
        v[2] * q[3] + v[0] * q[1] - v[1] * q[0],
        -v[0] * q[0] - v[1] * q[1] - v[2] * q[2],
    ]


# What drifts and spins.

TRAIL = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
FINE = 256
FINE_ONE, FINE_HALF = 1 << 24, 11_863_283


class Line:
    """A line through samples, the newest of which is at 0: (ticks before it, three numbers in FINE or None)."""

    def __init__(self, age, samples):
        self.count, self.time, self.square, self.way, self.time_way = 1, 0, 0, [0] * 3, [0] * 3
        self.off = 0
        for gap, way in samples:
            if way is None or max(map(abs, way)) > (1 << 20) * FINE:
                self.off = 1 << 10
                break
            scale = self.scale()
            if scale > 0:
                limit = 8 * (1 << 10) * scale
                miss = [
                    clamp(quotient(way[axis] * scale - self.at(-gap, axis), FINE // 8), -limit, limit)
                    for axis in range(3)
                ]
                if 12 * sum(part * part for part in miss) > 64 * 11 * scale * (scale + self.lever(-gap)):
                    self.off = sum(map(abs, miss)) // (8 * scale)
                    break
            self.add(-gap, way)
        scale = self.scale()
        self.states = self.count
        if scale == 0:
            self.goes, self.spread = [0] * 3, 8 * FINE
        else:
            self.goes = [(2 * self.at(age, axis) + scale) // (2 * scale) for axis in range(3)]
            self.spread = root(quotient(FINE * FINE * self.lever(age), 12 * scale))

    def scale(self):
        return self.count * self.square - self.time * self.time

    def at(self, time, axis):
        start = self.square * self.way[axis] - self.time * self.time_way[axis]
        return start + time * (self.count * self.time_way[axis] - self.time * self.way[axis])

    def lever(self, time):
        return self.square - 2 * time * self.time + self.count * time * time

    def add(self, time, way):
        self.count += 1
        self.time += time
        self.square += time * time
        for axis in range(3):
            self.way[axis] += way[axis]
            self.time_way[axis] += time * way[axis]


def fine_turn_of(lanes, group):
    out = min(lanes[group.at], 3)
    step = (FINE_HALF << 20) // max(group.max, 1)
    parts = [(2 * lane - group.max) * step >> 20 for lane in lanes[group.at + 1 : group.at + 4]]
    parts.insert(out, root(FINE_ONE * FINE_ONE - sum(part * part for part in parts)))
    return parts


def product(a, b):
    (ax, ay, az, aw), (bx, by, bz, bw) = a, b
    return [
        (aw * bx + ax * bw + ay * bz - az * by) >> 24,
        (aw * by - ax * bz + ay * bw + az * bx) >> 24,
        (aw * bz + ax * by - ay * bx + az * bw) >> 24,
        (aw * bw - ax * bx - ay * by - az * bz) >> 24,
    ]


def powers(square):
    second = square * square >> 24
    return square, second, second * square >> 24, second * second >> 24


def way_between(newest, old, most):
    x, y, z, w = product(old, [-newest[0], -newest[1], -newest[2], newest[3]])
    square = (x * x + y * y + z * z) >> 24
    if square > FINE_ONE // 4:
        return None
    first, second, third, fourth = powers(square)
    longer = FINE_ONE + first // 6 + 3 * second // 40 + 5 * third // 112 + 35 * fourth // 1_152
    ways = [(-part if w < 0 else part) * longer >> 24 for part in (x, y, z)]
    return [quotient(way * most * (FINE // 2), FINE_HALF) for way in ways]


def turned(newest, goes, most):
    limit = (1 << 20) * FINE
    goes = [quotient(clamp(part, -limit, limit) * FINE_HALF, FINE // 2 * max(most, 1)) for part in goes]
    square = sum(part * part for part in goes) >> 24
    if max(map(abs, goes)) > FINE_ONE or square > FINE_ONE:
        return newest
    first, second, third, fourth = powers(square)
    cosine = FINE_ONE - first // 2 + second // 24 - third // 720 + fourth // 40_320
    shorter = FINE_ONE - first // 6 + second // 120 - third // 5_040 + fourth // 362_880
    return product([part * shorter >> 24 for part in goes] + [cosine], newest)


class Sight:
    """The guess of a group that drifts or spins: its lanes, in FINE."""

    def __init__(self, change, group):
        self.group, self.newest = group, change.newest
        if group.kind == DRIFT:
            newest = [self.newest[lane] for lane in group.lanes]
            samples = [
                (gap, [(state[lane] - newest[axis]) * FINE for axis, lane in enumerate(group.lanes)])
                for gap, state in change.trail
            ]
            self.line = Line(change.age, samples)
            self.fine = [newest[axis] * FINE + self.line.goes[axis] for axis in range(3)]
            self.first = group.at
        else:
            newest = fine_turn_of(self.newest, group)
            samples = [(gap, way_between(newest, fine_turn_of(state, group), group.max)) for gap, state in change.trail]
            self.line = Line(change.age, samples)
            self.guess = turned(newest, self.line.goes, group.max)
            self.leave_out(max(range(4), key=lambda at: (abs(self.guess[at]), -at)))
            self.first = group.at + 1

    def leave_out(self, out):
        self.out = out
        same = -1 if self.guess[out] < 0 else 1
        parts = [same * self.guess[at] for at in range(4) if at != out]
        self.fine = [(part + FINE_HALF) * self.group.max * FINE // (2 * FINE_HALF) for part in parts]

    def nearest(self, number):
        return clamp((self.fine[number] + FINE // 2) // FINE, 0, self.group.max)


# A change.


class Change:
    """Reads the lanes of one entity against three states of it."""

    def __init__(self, tables, bits, groups, states, age, gaps, trail):
        self.tables, self.bits, self.groups = tables, bits, groups
        self.states = self.newest, self.second, self.third = states
        self.age, self.gaps, self.trail = age, gaps, trail
        self.now = [0] * len(self.newest)
        self.missed = [0, 0, 0]
        self.place = next((group for group in groups if group.kind in (AXES, DRIFT)), None)
        place = self.place.lanes if self.place else []
        self.went = [self.far(lane) for lane in place] or [0, 0, 0]
        self.moved = clip(sum(abs(self.step(lane)) for lane in place))
        self.in_motion = int(any(self.moves(group) for group in groups))
        self.turned = (0, 0)
        turn = next((group for group in groups if group.kind == TURN), None)
        if turn:
            self.look_at_turning(turn)
            self.turned = (clip(self.turn_step), clip(self.turn_reach))
        firsts = [next((group for group in groups if group.kind == kind), None) for kind in (DRIFT, SPIN)]
        self.free = [Sight(self, group) for group in firsts if group and self.moves(group)]
        self.glides = False

    def step(self, lane):
        return over(self.newest[lane] - self.second[lane], self.gaps[0], 1)

    def near(self, lane):
        return over(self.newest[lane] - self.second[lane], self.gaps[0], self.age)

    def far(self, lane):
        return over(self.newest[lane] - self.third[lane], self.gaps[1], self.age)

    def moves(self, group):
        newest, second, third = ([state[lane] for lane in group.lanes] for state in self.states)
        return newest != second or newest != third

    def all_missed(self):
        return sum(abs(part) for part in self.missed)

    def symbol(self, model, features):
        return self.bits.symbol(self.tables, model, features)

    def put(self, lane, value, group):
        if not 0 <= value <= group.max:
            raise Refused("a lane out of range")
        self.now[lane] = value

    def read(self):
        odd = self.glide() if self.free else self.bits.get(1)
        if odd and self.symbol("mask", [self.in_motion]) == 0:
            return list(self.newest)
        first = self.place if self.place and self.moves(self.place) else None
        if first:
            self.read_group(0, first, odd)
        resting, left = 0, 0
        if odd:
            resting = sum(not self.moves(group) for group in self.groups)
            left = self.skip(0, resting)
        for number, group in enumerate(self.groups):
            if group is first:
                continue
            if self.moves(group):
                self.read_group(number, group, odd)
            elif not odd or left > 0:
                for lane in group.lanes:
                    self.now[lane] = self.newest[lane]
                left, resting = max(left - 1, 0), max(resting - 1, 0)
            else:
                resting = max(resting - 1, 0)
                self.read_group(number, group, odd)
                left = self.skip(number + 1, resting)
        return self.now

    def glide(self):
        """Whether the change is odd; lanes that are told at once are put."""
        sides, lines = [], [0] * 6
        for sight in self.free:
            line = sight.line
            at = 0 if sight.group.kind == DRIFT else 3
            lines[at : at + 3] = [line.spread, line.states, line.off]
            for number in range(3):
                near = sight.nearest(number)
                beside = sight.fine[number] - near * FINE
                apart = min(max(FINE // 2 - abs(beside), 0) * 32 // max(line.spread, 1), 1 << 10)
                sides.append((apart, sight, sight.first + number, near, near - 1 if beside < 0 else near + 1))
        sides.sort(key=lambda side: side[0])
        apart = ([side[0] for side in sides] + [1 << 10] * 5)[:5]
        symbol = self.symbol("glide", apart + lines + [self.age])
        if symbol >= 32:
            return symbol == 33
        if symbol >> min(len(sides), 5):
            raise Refused("a lane on the other side that is not there")
        for at, (_, sight, lane, near, other) in enumerate(sides):
            self.put(lane, other if symbol >> at & 1 else near, sight.group)
        for sight in self.free:
            if sight.group.kind == SPIN:
                self.now[sight.group.at] = sight.out
        self.glides = True
        return False

    def read_free(self, group, odd):
        sight = next((sight for sight in self.free if sight.group is group), None)
        if not (self.glides and sight):
            sight = sight or Sight(self, group)
            before, line = [0, 0], sight.line
            if group.kind == SPIN:
                guessed = sight.out
                sight.leave_out(self.bits.get(2) if odd else guessed)
                self.now[group.at] = sight.out
            for number in range(3):
                lane, guess = sight.first + number, sight.nearest(number)
                features = [
                    int(group.kind == SPIN), clip(sight.fine[number] - guess * FINE), line.spread, line.states, line.off,
                    clip(self.age), before[0], before[1], scale(self.all_missed()), clip(guess - self.newest[lane]),
                ]
                difference = self.bits.difference(self.tables, "free", features)
                self.put(lane, guess + difference, group)
                before = [scale(difference), before[0]]
        if group is self.place:
            self.missed = [self.now[sight.first + number] - sight.nearest(number) for number in range(3)]

    def skip(self, start, resting):
        skipped = 0
        while True:
            features = [start, resting, self.in_motion, scale(self.all_missed()), self.moved, len(self.groups)]
            symbol = self.symbol("skip", features)
            skipped += symbol
            if symbol < 59 or skipped >= resting:
                return skipped

    def read_group(self, number, group, odd):
        if group.kind == AXES:
            self.read_axes(group)
        elif group.kind == TURN:
            self.read_turn(group, odd)
        elif group.kind in (DRIFT, SPIN):
            self.read_free(group, odd)
        else:
            self.read_lane(number, group)

    def read_lane(self, number, group):
        lane = group.at
        near, far = self.near(lane), self.far(lane)
        guess = clamp(self.newest[lane] + (far if group.kind == LINEAR else 0), 0, group.max)
        behind = lane - self.place.at - 3 if self.place else -1
        axis = behind % 3 if behind >= 0 else 0
        features = [
            group.kind, scale(far), scale(near - far), scale(self.newest[lane]), scale(group.max), number,
            len(self.groups), clip(self.missed[axis]), scale(self.all_missed()), clip(near), clip(far),
        ]
        self.put(lane, guess + self.bits.difference(self.tables, "lane", features), group)

    def read_axes(self, group):
        before = [0, 0]
        all_far = sum(abs(self.far(lane)) for lane in group.lanes)
        for axis in (1, 0, 2):
            lane, up = group.at + axis, int(axis == 1)
            near, far = self.near(lane), self.far(lane)
            key = (up * 17 + min(scale(far), 16)) * 8 + min(scale(near - far) // 3, 7)
            goes = self.tables.fit("axis", key, [near, far, self.age * self.age // 4 if up else 0])
            guess = clamp(self.newest[lane] + goes, 0, group.max)
            features = [
                up, clip(abs(self.step(lane))), clip(abs(far)), clip(abs(near - far)), self.moved,
                clip(all_far - abs(far)), self.turned[1], self.turned[0], clip(goes - far), clip(goes), clip(far),
                before[0], before[1], clip(self.newest[lane]),
            ]
            difference = self.bits.difference(self.tables, "axis", features)
            self.put(lane, guess + difference, group)
            before = [scale(difference), before[0]]
            if group is self.place:
                self.missed[axis] = difference

    def look_at_turning(self, group):
        newest = turn_of(self.newest, group)

        def tangent(state):
            old = turn_of(state, group)
            along = dot(newest, old)
            same = -1 if along < 0 else 1
            way = [quotient(abs(along) * newest[at], ONE) - same * old[at] for at in range(4)]
            apart = sum(abs(newest[at] - same * old[at]) for at in range(4))
            return way, quotient(apart * group.max, 2 * HALF)

        (near, step), (far, reach) = tangent(self.second), tangent(self.third)
        self.turn_newest = newest
        self.turn_near = [over(part, self.gaps[0], self.age) for part in near]
        self.turn_far = [over(part, self.gaps[1], self.age) for part in far]
        self.turn_step = over(step, self.gaps[0], 1)
        self.turn_reach = over(reach, self.gaps[1], self.age)

    def guess_turn(self):
        newest, fit = self.turn_newest, self.tables.fit
        key = min(scale(self.turn_reach), 16) * 13 + min(scale(self.turn_step), 12)
        way = [fit("turn", key, inputs) for inputs in zip(self.turn_near, self.turn_far)]
        square = min(dot(way, way), 4 * ONE)
        fourth = quotient(square * square, ONE)
        cosine = ONE - quotient(square, 2) + quotient(fourth, 24)
        slope = ONE - quotient(square, 6) + quotient(fourth, 120)
        alone = normal([quotient(cosine * newest[at] + slope * way[at], ONE) for at in range(4)])

        limit = 1 << 20
        missed, went = ([clamp(part, -limit, limit) for part in parts] for parts in (self.missed, self.went))
        amount = sum(abs(part) for part in missed)
        key = min(scale(self.turn_reach) // 2, 9) * 10 + min(scale(amount) // 2, 9)
        rolls = spin([missed[2], 0, -missed[0]], newest)
        square = sum(part * part for part in went) + 64
        speed = root(square)
        ahead = clamp(quotient(sum(a * b for a, b in zip(went, missed)) * 256, square), -512, 512)
        length = max(root(sum(part * part for part in way)), 1)

        def across(a, b):
            return quotient(went[a] * missed[b] - went[b] * missed[a], speed)

        swerves = spin([across(1, 2), across(2, 0), across(0, 1)], newest)
        rolled = [
            fit("rolled", key, [
                rolls[at], way[at] * ahead * 16, quotient(way[at] * ONE, length) * missed[1], swerves[at],
            ])
            for at in range(4)
        ]
        return normal([alone[at] + rolled[at] for at in range(4)])

    def read_turn(self, group, odd):
        guess = self.guess_turn()
        order = sorted(range(4), key=lambda at: (-abs(guess[at]), at))
        out = order[0]
        if odd:
            margin = quotient(abs(guess[order[0]]) - abs(guess[order[1]]), 32)
            out = order[self.symbol("rank", [clip(margin), clip(self.turn_reach), clip(self.all_missed())])]
        self.now[group.at] = out
        guess_sign = -1 if guess[out] < 0 else 1
        newest_sign = -1 if self.turn_newest[out] < 0 else 1
        missed = [scale(part) for part in self.missed]
        before = [0, 0]
        for number, at in enumerate(part for part in range(4) if part != out):
            near = quotient(self.turn_near[at] * newest_sign * group.max, 23_170)
            far = quotient(self.turn_far[at] * newest_sign * group.max, 23_170)
            expected = lane_of(guess_sign * guess[at], group.max)
            features = [
                number, clip(abs(near)), clip(abs(far)), clip(abs(near - far)), clip(self.turn_step),
                clip(self.turn_reach), clip(sum(abs(part) for part in self.went)), sum(missed), max(missed),
                before[0], before[1], clip(near - far), clip(far),
                clip(expected - lane_of(newest_sign * self.turn_newest[at], group.max)),
            ]
            difference = self.bits.difference(self.tables, "turn", features)
            self.put(group.at + 1 + number, expected + difference, group)
            before = [scale(difference), before[0]]


# What a client keeps.

KEEP_TICKS = 96


class Entity:
    def __init__(self):
        self.states, self.gone = {}, None

    def at(self, tick):
        """The newest state at a tick or before, as (tick, shape, lanes)."""
        held = max((held for held in self.states if held <= tick), default=None)
        if held is None or (self.gone is not None and held < self.gone <= tick):
            return None
        return held, *self.states[held]


class Client:
    def __init__(self, tables, components):
        self.tables, self.components = tables, components
        kinds = [group.kind for lanes in components for group in groups_of([{**lane, "of": 0} for lane in lanes])]
        self.has_trails = DRIFT in kinds or SPIN in kinds
        self.entities, self.newest, self.kept = {}, 0, None

    def told(self, shape):
        """The lanes that a shape tells, over all its components."""
        lanes = []
        for component, known in shape:
            # A group never reaches from one component into the next.
            told = [{**lane, "of": component} for lane in self.components[component] if knows(known, lane)]
            lanes += told
        return lanes

    def receive(self, part):
        if len(part) > 1_100:
            raise Refused("no part has this length")
        bits = Bits(part)
        tick = self.read_tick(bits)
        told = list(self.read_entities(tick, bits))
        self.newest = max(self.newest, tick)
        self.kept = tick if self.kept is None else max(self.kept, tick)
        for entity, state in told:
            self.keep(entity, tick, state)
        self.forget()

    def read_tick(self, bits):
        if bits.get(1):
            low = bits.get(16)
            ahead = (low - self.newest) & 0xFFFF
            tick = self.newest + (ahead - 0x10000 if ahead >= 0x8000 else ahead)
            return tick if 0 <= tick < 1 << 32 else low
        low = bits.get(8)
        if self.kept is None:
            raise Refused("a near tick, and nothing was kept that it is near to")
        first = max(self.kept - 191, 0)
        return first + ((low - first) & 0xFF)

    def read_entities(self, tick, bits):
        usual = read_bases(bits, self.has_trails) if bits.get(1) else None
        next_id = 0
        while True:
            follows = not bits.get(1)
            if not follows and bits.get(1):
                break
            entity = next_id + (0 if follows else read_step(bits))
            if entity >= 1 << 32:
                raise Refused("an id beyond 32 bits")
            next_id = entity + 1
            if follows or not bits.get(1):
                if usual is None:
                    raise Refused("a change against the bases of a part that has none")
                yield entity, self.read_change(tick, entity, usual, bits)
            elif not bits.get(1):
                yield entity, self.read_change(tick, entity, read_bases(bits, self.has_trails), bits)
            elif not bits.get(1):
                yield entity, self.read_full(bits)
            else:
                yield entity, None
        if bits.left >= 8:
            raise Refused("bytes left over")

    def read_full(self, bits):
        shape = []
        width = max((len(self.components) - 1).bit_length(), 1)
        for _ in range(bits.get(6)):
            component, known = bits.get(width), bits.get(2)
            if shape and component <= shape[-1][0]:
                raise Refused("components that do not ascend")
            if component >= len(self.components) or not self.told([(component, known)]):
                raise Refused("a component that does not exist or of which nothing is told")
            shape.append((component, known))
        lanes = []
        for lane in self.told(shape):
            value = bits.get(max(lane["max"].bit_length(), 1))
            if value > lane["max"]:
                raise Refused("a lane above its largest value")
            lanes.append(value)
        return tuple(shape), lanes

    def read_change(self, tick, entity, bases, bits):
        age, *gaps, trail = bases
        ticks = [tick - age, tick - age - gaps[0], tick - age - gaps[1]]
        if min(ticks) < 0:
            raise Refused("bases before tick 0")
        held = self.entities[entity].states if entity in self.entities else {}
        if any(base not in held for base in ticks):
            raise Refused("a state that is not held")
        shapes, states = zip(*(held[base] for base in ticks))
        if len(set(shapes)) > 1:
            raise Refused("states of different shapes")
        groups = groups_of(self.told(shapes[0]))
        behind = []
        if any(group.kind in (DRIFT, SPIN) for group in groups):
            behind = [(gap, tick - age - gap) for bit, gap in enumerate(TRAIL) if trail >> bit & 1]
        if any(base not in held for _, base in behind):
            raise Refused("a state of the trail that is not held")
        if any(held[base][0] != shapes[0] for _, base in behind):
            raise Refused("states of different shapes")
        trail = [(gap, held[base][1]) for gap, base in behind]
        change = Change(self.tables, bits, groups, states, age, gaps, trail)
        return shapes[0], change.read()

    def keep(self, number, tick, state):
        entity = self.entities.setdefault(number, Entity())
        if state is None:
            entity.gone = tick if entity.gone is None else max(entity.gone, tick)
            return
        entity.states.setdefault(tick, state)
        newest = max(entity.states)
        entity.states = {held: state for held, state in entity.states.items() if newest - held <= KEEP_TICKS}

    def forget(self):
        for number, entity in list(self.entities.items()):
            if entity.gone is not None and self.newest - entity.gone > KEEP_TICKS:
                entity.states = {held: state for held, state in entity.states.items() if held >= entity.gone}
                entity.gone = None
                if not entity.states:
                    del self.entities[number]

    def state(self):
        """What the vectors call the state."""
        rows = []
        for number in sorted(self.entities):
            found = self.entities[number].at(self.newest)
            if found is None:
                continue
            tick, shape, lanes = found
            lanes = iter(lanes)
            for component, known in shape:
                values = [str(next(lanes)) if knows(known, lane) else "0" for lane in self.components[component]]
                rows.append(f"{number}.{component} {known} [{' '.join(values)}] of {tick}")
        return "; ".join(rows)


def knows(known, lane):
    return {"everyone": True, "team": known & 1, "owner": known & 2}[lane["audience"]]


def read_bases(bits, has_trail):
    age = bits.get(6) + 1
    gaps = (1, age) if bits.get(1) else (bits.get(6), bits.get(6))
    trail = 0
    if has_trail:
        trail = 0xFFFF if bits.get(1) else bits.get(16)
    return age, *gaps, trail


def read_step(bits):
    first = 0
    for width in (0, 3, 6, 12):
        if not bits.get(1):
            return first + bits.get(width)
        first += 1 << width
    return bits.get(32)


# The vectors.


def component_of(text):
    """The lanes of a line `component NUMBER NAME FIELD LANES MAX AUDIENCE PREDICTOR, ...`."""
    lanes = []
    for field in filter(None, text.split(",")):
        name, count, most, audience, predictor = field.split()
        lane = {"field": name, "max": int(most), "audience": audience, "predictor": predictor}
        lanes += [lane] * int(count)
    return lanes


def check(name, vectors, data):
    tables, components, client = Tables(data), [], None
    wrong, checked = [], 0
    for number, line in enumerate(vectors.splitlines(), 1):
        what, _, rest = line.partition(" ")
        found = None
        if what == "tables":
            found = f"{hash_of(data):016x}"
        elif what == "component":
            _, _, fields = (rest + "  ").split(" ", 2)
            components.append(component_of(fields.strip()))
            continue
        elif what == "viewer":
            client = Client(tables, components)
            continue
        elif what in ("part", "read"):
            try:
                client.receive(bytes.fromhex(rest))
                found = rest
            except Refused as reason:
                found = f"refused: {reason}"
        elif what == "refused":
            before = client.state()
            try:
                client.receive(bytes.fromhex(rest))
                found = "taken"
            except Refused:
                found = rest if client.state() == before else "refused, but not without a trace"
        elif what == "state":
            found = client.state()
        else:
            continue
        checked += 1
        if found != rest:
            wrong.append(f"{name}:{number}: {what} {rest}\n    read as: {found}")
    return wrong, checked


def main():
    data = (ROOT / "assets/codec/tables.txt").read_bytes()
    wrong, checked = [], 0
    for name in ("snapshots.txt", "drifting.txt"):
        vectors = (ROOT / "tests/vectors" / name).read_text(encoding="utf-8")
        more = check(name, vectors, data)
        wrong, checked = wrong + more[0], checked + more[1]
    for line in wrong:
        print(line)
    print(f"{checked} lines, {len(wrong)} wrong")
    sys.exit(1 if wrong or not checked else 0)


if __name__ == "__main__":
    main()
