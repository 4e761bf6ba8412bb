"""Data docs of one build: every check with its result, as one self-contained HTML page.

This module renders the page; orchestration decides where it is written and how long it is kept. Great Expectations' own
data docs load styles and scripts from public hosts, and would show numbers instead of the rows that break a rule.
"""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment

from expectations.gate import CheckResult, SuiteVerdict, Verdict

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #1d2530; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; color: #4a5565 }
dd { margin: 0 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #e8ebee }
th { font-weight: 600; color: #4a5565 }
code { font-size: .9em; overflow-wrap: anywhere }
small { display: block; color: #5b6675 }
ul { margin: .3rem 0 0; padding-left: 1.1rem }
summary { cursor: pointer; color: #4a5565; padding: .4rem 0 }
.where { width: 17rem }
.holds, .block, .warn { white-space: nowrap; font-weight: 600 }
.holds { color: #0a6b3d }
.block { color: #a5121b }
.warn { color: #8a5300 }
</style>
</head>
<body>
<h1>{{ title }}:
{% if verdict.passed %}<span class="holds">passed</span>{% else %}<span class="block">blocked</span>{% endif %}</h1>
<dl>{% for name, value in facts.items() %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% for suite, broken, held in suites %}
<h2>{{ suite.suite | capitalize }}: {{ suite.checks_run }} checks, {{ broken | length }} not held</h2>
{% if broken %}
<table>
<tr><th>effect</th><th class="where">where</th><th>what should hold</th><th>what to do</th></tr>
{% for result in broken %}
{% set check, failure = result.check, result.failure %}
<tr>
<td class="{{ failure.severity }}">{{ {"block": "blocks", "warn": "warns"}[failure.severity] }}</td>
<td><code>{{ check.table }}{% if check.column %}<br>{{ check.column }}{% endif %}</code></td>
<td>{{ check.rule }}
{% if failure.rows %}<small>{{ failure.rows }} {{ "row does" if failure.rows == 1 else "rows do" }} not agree</small>
{% else %}<small>{{ failure.sentence }}</small>{% endif %}
<ul>{% for sample in failure.samples %}<li><code>{{ sample }}</code></li>{% endfor %}</ul></td>
<td>{{ check.advice }}<small>The risk: {{ check.risk }}.</small></td>
</tr>
{% endfor %}
</table>
{% endif %}
<details>
<summary>{{ held | length }} that held</summary>
<table>
<tr><th class="where">where</th><th>what holds</th><th>observed</th><th>bound from</th></tr>
{% for result in held %}
{% set check = result.check %}
<tr>
<td><code>{{ check.table }}{% if check.column %}<br>{{ check.column }}{% endif %}</code></td>
<td>{{ check.rule }}</td>
<td>{% if result.largest is not none %}{{ "%.3g to %.3g" | format(result.smallest, result.largest) }}{% endif %}</td>
<td>{{ check.source }}</td>
</tr>
{% endfor %}
</table>
</details>
{% endfor %}
</body>
</html>
"""


def data_docs(title: str, facts: Mapping[str, object], verdict: Verdict) -> str:
    """The page.

    Args:
        title: what was judged; the verdict follows it.
        facts: what else a reader must know of the build, shown as a list.
        verdict: as `gate.judge` gave it, with its checks.
    """
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(PAGE)
    return page.render(title=title, facts=facts, verdict=verdict, suites=[_sorted(suite) for suite in verdict.suites])


def _sorted(suite: SuiteVerdict) -> tuple[SuiteVerdict, list[CheckResult], list[CheckResult]]:
    """The suite, its checks that do not hold, and those that hold."""
    broken = [result for result in suite.results if result.failure]
    return suite, broken, [result for result in suite.results if not result.failure]
