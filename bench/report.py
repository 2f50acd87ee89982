"""Tables and a plot of what was measured."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
COLOURS = ("#8c8c8c", "#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2")
# What a person calls the samples named OPERATION/BUNDLE.
TITLES = {
    "run/default": "`run`, no seccomp", "run/seccomp": "`run`, docker's seccomp profile",
    "run/nonet": "`run`, the host's network", "run/cri": "`run`, as in a pod",
    "run/1000 mounts": "`run`, 1000 more mounts on the host", "create/wait": "`create`",
    "start/wait": "`start`", "kill/wait": "`kill`", "delete/wait": "`delete`",
    "exec/running": "`exec`", "state/running": "`state`"}


def quantile(values, part):
    values = sorted(values)
    return values[min(int(part * len(values)), len(values) - 1)]


@dataclass
class Summary:
    median_us: float
    low_us: float
    high_us: float
    cpu_us: float
    peak_kb: int


class Results:
    def __init__(self, samples, versions, quiet):
        self.samples, self.versions, self.quiet = samples, versions, quiet
        lists = {}
        for title, contender, *numbers in samples:
            lists.setdefault((title, contender), []).append(numbers)
        self.titles = [title for title in TITLES if any(key[0] == title for key in lists)]
        self.contenders = ["limit", *versions]
        self.summaries = {key: self.summary(numbers) for key, numbers in lists.items()}

    @staticmethod
    def summary(numbers):
        wall = [each[0] / 1000 for each in numbers]
        return Summary(statistics.median(wall), quantile(wall, 0.1), quantile(wall, 0.9),
                       statistics.median(each[1] for each in numbers),
                       max(each[2] for each in numbers))

    def get(self, title, contender):
        return self.summaries.get((title, contender))

    def peak_kb(self, contender):
        return max((summary.peak_kb for key, summary in self.summaries.items()
                    if key[1] == contender), default=0)

    def name(self, contender):
        return f"{contender} {self.versions[contender]}" if contender in self.versions \
            else contender


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |\n"


def short_table(results):
    """Medians, in ms, and the greatest memory; for the README."""
    shown = results.contenders
    text = row("median, ms", *map(results.name, shown)) + row("---", *["---:"] * len(shown))
    for title in results.titles:
        found = [results.get(title, contender) for contender in shown]
        text += row(TITLES[title],
                    *(f"{each.median_us / 1000:.2f}" if each else "" for each in found))
    return text + row("peak memory, MB", *(f"{results.peak_kb(contender) / 1024:.1f}"
                                          for contender in shown))


def long_table(results):
    text = row("", "runtime", "median us", "p10", "p90", "x limit", "x crun", "CPU us",
               "peak kB") + row("---", "---", *["---:"] * 7)
    for title in results.titles:
        for contender in results.contenders:
            each = results.get(title, contender)
            if each is None:
                continue
            ratios = [f"{each.median_us / other.median_us:.2f}" if other else ""
                      for other in (results.get(title, "limit"), results.get(title, "crun"))]
            text += row(TITLES[title], results.name(contender), f"{each.median_us:.0f}",
                        f"{each.low_us:.0f}", f"{each.high_us:.0f}", *ratios,
                        f"{each.cpu_us:.0f}", each.peak_kb)
    return text


def svg(results):
    """Bars of the medians, with p10 to p90 as a line; each group has its own scale."""
    bar, width, left = 16, 560, 170
    parts, y = [], 10
    for title in results.titles:
        found = [(index, contender, results.get(title, contender))
                 for index, contender in enumerate(results.contenders)]
        found = [each for each in found if each[2]]
        scale = width / max(each.high_us for _, _, each in found)
        parts.append(f'<text x="10" y="{y + 14}" font-weight="bold">'
                     f'{escape(TITLES[title].replace("`", ""))}</text>')
        y += 22
        for index, contender, each in found:
            middle = y + bar / 2
            low, high = left + each.low_us * scale, left + each.high_us * scale
            parts.append(
                f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">'
                f'{escape(results.name(contender))}</text>'
                f'<rect x="{left}" y="{y + 2}" width="{each.median_us * scale:.1f}" '
                f'height="{bar - 4}" fill="{COLOURS[index % len(COLOURS)]}"/>'
                f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="black"/>'
                f'<text x="{high + 6:.1f}" y="{y + 12}">{each.median_us / 1000:.2f} ms</text>')
            y += bar
        y += 12
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{y}" '
            'font-family="sans-serif" font-size="12">\n'
            '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def write(folder: Path, readme: Path, results: Results):
    note = "" if results.quiet else "\nThe machine was not at rest: ratios count, times do not.\n"
    table = short_table(results) + note
    (folder / "results.md").write_text(table + "\n" + long_table(results))
    (folder / "results.svg").write_text(svg(results))
    (folder / "samples.tsv").write_text("".join("\t".join(map(str, sample)) + "\n"
                                                for sample in results.samples))
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{table}{END}{rest.split(END)[1]}")
    print(table)
    print(f"bench: {folder}/results.md, results.svg; the table is in {readme.name}, too")
