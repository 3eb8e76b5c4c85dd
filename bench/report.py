"""What a run leaves behind: JSON, one HTML page that needs nothing else, and the closing table."""

import html
import json
import math
import os

import goals
from figures import Histogram, readable

COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#475569")


def record(machine, name, found, histograms, against, problem):
    """One bench in JSON."""
    return {"bench": name, "problem": problem, "figures": [f.plain() for f in found], "against": [f.plain() for f in against],
            "histograms": {k: {"max": h.max, "buckets": sorted(h.buckets.items())} for k, h in histograms.items()}, "machine": machine}


def write(file, text):
    """What was there stays until all of the new one is: a disk may be full."""
    if file.exists() and not file.is_file():  # /dev/stdout
        file.write_text(text)
        return
    new = file.with_name(file.name + ".new")
    new.write_text(text)
    os.replace(new, file)


def write_json(file, benches):
    write(file, json.dumps({"kubering_bench": 1, "benches": benches}, indent=1) + "\n")


def read_json(file):
    return json.loads(file.read_text())["benches"]


# --- the closing table ---

def rows_of(benches):
    """(row, its figures, goals that no figure has) for each row of the goals. The newest figure of a name counts, a quick one only where
    there is no other."""
    by_age = sorted(benches, key=lambda b: (not b["machine"].get("quick"), b["machine"].get("time", "")))
    newest = {f["name"]: f | {"machine": b["machine"]} for b in by_age for f in b["figures"]}
    for row in goals.ROWS:
        missing = [name for name in goals.GOALS if goals.row_of(name) is row and name not in newest]
        yield row, [f for name, f in newest.items() if goals.row_of(name) is row], missing


def verdict(f):
    return "-" if f["ok"] is None else "ok" if f["ok"] else "short"


def cells(f):
    span = "" if f["min"] == f["max"] else f" ({readable(f['min'])} to {readable(f['max'])})"
    beside = "-" if f["vs"] == "none" else f"{f['vs']} {readable(f['vs_value'])}" + ("" if f["ratio"] is None else f", ratio {f['ratio']:.3g}")
    quick = " quick" if f["machine"].get("quick") else ""
    return [f["name"] + quick, f"{readable(f['value'])} {f['unit']}{span}", f["goal"] or "-", beside, verdict(f)]


def table(benches):
    """For a terminal, and as Markdown."""
    out = ["| figure | measured (range) | goal | bound or peer of the same run | |", "|---|---|---|---|---|"]
    for row, found, missing in rows_of(benches):
        out.append(f"| **{row.figure}** | | {row.goal} | | |")
        out += ["| " + " | ".join(cells(f)) + " |" for f in found] or ["| not measured | | | | |"]
        out += [f"| {name} | not measured | {goals.GOALS[name]} | - | - |" for name in missing if found]
    failed = [f"{b['bench']}: {b['problem'].splitlines()[0]}" for b in benches if b["problem"]]
    return "\n".join(out + ["", *failed]).rstrip()


# --- plots ---

def svg(width, height, body, title):
    return (f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{html.escape(title, True)}">'
            + "".join(body) + "</svg>")


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def strip(f):
    """The runs of a figure as dots, the runs of what it is measured beside below them, from 0 to the largest."""
    same = bool(f["vs_values"]) and f["ratio"] is not None
    largest = max([*f["values"], *(f["vs_values"] if same else []), 1e-12]) * 1.05
    body = [line(0, 14, 320, 14, "axis")]
    for value in f["values"]:
        body.append(f'<circle cx="{max(0, value) / largest * 320:.1f}" cy="14" r="4" class="ours"/>')
    for value in f["vs_values"] if same else []:
        x = max(0, value) / largest * 320
        body.append(line(x, 4, x, 24, "bound"))
    return svg(330, 28, body, f["name"])


def curve(histograms):
    """Latency by percentile, both logarithmic: to the right the rarer."""
    width, height, left, bottom, nines = 720, 300, 70, 30, 4.0
    values = [h.percentile(p) for h in histograms.values() for p in (1, 100)]
    low = 10 ** math.floor(math.log10(max(1, min(values))))
    high = 10 ** math.ceil(math.log10(max(values + [low * 10])))

    def y(v):
        return (height - bottom) * (1 - math.log10(max(v, low) / low) / math.log10(high / low)) + 5

    def x(nine):
        return left + nine / nines * (width - left - 10)

    body, v = [], low
    while v <= high:
        body += [line(left, y(v), width - 10, y(v), "axis"), text(left - 6, y(v) + 4, f"{v / 1000:g} µs", "end")]
        v *= 10
    for label, p in (("p0", 0), ("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("p99.99", 99.99)):
        at = x(-math.log10(1 - p / 100))
        body += [line(at, 5, at, height - bottom + 5, "axis"), text(at, height - 8, label, "end" if p == 99.99 else "middle")]
    for (name, h), colour in zip(histograms.items(), COLOURS * (1 + len(histograms) // len(COLOURS))):
        points = " ".join(f"{x(i / 20):.1f},{y(h.percentile(100 * (1 - 10 ** (-i / 20)))):.1f}"
                          for i in range(int(nines * 20) + 1) if 10 ** (-i / 20) * h.count >= 1)
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"><title>{html.escape(name)}</title></polyline>')
    legend = "".join(f'<li><span style="color:{c}">&#9632;</span> {html.escape(name)}: {html.escape(h.words())} µs, {h.count} events</li>'
                     for (name, h), c in zip(histograms.items(), COLOURS * (1 + len(histograms) // len(COLOURS))))
    return svg(width, height, body, "latency by percentile") + f"<ul>{legend}</ul>"


STYLE = """:root{color-scheme:light dark;--text:#1e293b;--back:#fff;--line:#cbd5e1;--pale:#475569;--box:#f1f5f9;--good:#047857;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--text:#e2e8f0;--back:#0f172a;--line:#334155;--pale:#94a3b8;--box:#1e293b;--good:#34d399;--bad:#f87171}}
body{font:14px/1.45 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:var(--text);background:var(--back)}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:middle}
.ok{color:var(--good)}.short,.problem{color:var(--bad);font-weight:600}svg text{font-size:11px;fill:var(--pale)}.axis{stroke:var(--line)}
.ours{fill:#3b82f6;fill-opacity:.8}.bound{stroke:#d97706;stroke-width:3}pre{background:var(--box);padding:.5rem;overflow:auto}ul{list-style:none;padding:0}"""


def figure_rows(found, machine):
    for f in found:
        name, value, goal, beside, word = (html.escape(c) for c in cells(f | {"machine": machine}))
        yield (f"<tr><td>{name}</td><td>{value}</td><td>{strip(f)}</td><td>{beside}</td><td>{goal}</td>"
               f'<td class="{word}">{word}</td></tr>')


def page(benches):
    """One HTML page; no script, no style sheet, no image from elsewhere."""
    out = ['<!doctype html><html lang="en"><head><meta charset="utf-8"><title>kubering: figures</title>',
           f"<style>{STYLE}</style></head><body><h1>kubering: figures</h1>",
           "<p>Blue dots are the runs, orange bars the bound or peer of the same runs, on one axis that begins at 0.</p>"]
    head = "<table><tr><th>figure</th><th>median (range)</th><th>runs</th><th>beside</th><th>goal</th><th></th></tr>"
    for b in benches:
        out.append(f"<h2>{html.escape(b['bench'])}</h2>")
        out.append("<p>" + html.escape(", ".join(f"{k}: {v}" for k, v in b["machine"].items())) + "</p>")
        if b["problem"]:
            out.append(f'<pre class="problem">{html.escape(b["problem"])}</pre>')
        for found in (b["figures"], b["against"]):
            if found:
                out.append(head + "".join(figure_rows(found, b["machine"])) + "</table>")
        groups = {}
        for name, h in b["histograms"].items():
            groups.setdefault(name.split(":")[0], {})[name] = Histogram(dict(map(tuple, h["buckets"])), h["max"])
        out += [f"<h3>{html.escape(g)}</h3>" + curve(hs) for g, hs in groups.items() if any(h.count for h in hs.values())]
    rows = "".join(f'<tr><th colspan="5">{html.escape(row.figure)}</th><td>{html.escape(row.goal)}</td></tr>' + "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells(f)) + "<td></td></tr>" for f in found)
        for row, found, _ in rows_of(benches) if found)
    if rows:
        out.append(f"<h2>Goals</h2><table>{rows}</table>")
    return "\n".join(out) + "</body></html>\n"
