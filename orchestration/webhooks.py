"""Webhooks: that a run failed or published, posted as plain JSON to the addresses of site.yaml, each event once.

The address is a secret (it often holds a token): it is in an environment variable, and no message quotes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

from ingest.site.config import SiteConfig
from orchestration.figures.digest import read_publication
from orchestration.letters.delivery import SENT
from orchestration.letters.operations import Trouble
from orchestration.letters.sent_ledger import open_sent_ledger

Event = Literal["failed", "published"]
TIMEOUT_S = 10.0


def post_publication(folder: Path, site: SiteConfig, data_dir: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Posts that there is a new publication; one that could not be posted is tried again by the next run.

    Args:
        folder: the publication's folder.
        site: identity and webhooks of site.yaml.
        data_dir: where it is recorded what was posted.
        environ: holds the addresses.

    Returns:
        What the user should know of it.
    """
    if not _addresses("published", site):
        return ()
    publication = read_publication(folder / "warehouse.duckdb")
    text = f"{site.name}: published {publication.run_id}, as of {publication.as_of}"
    facts = {"run_id": publication.run_id, "as_of": publication.as_of.isoformat(), "pages_url": site.pages_url}
    return _post("published", publication.run_id, facts | {"text": text}, site, data_dir, environ)


def post_troubles(
    troubles: Sequence[Trouble], site: SiteConfig, data_dir: Path, environ: Mapping[str, str], today: date
) -> tuple[str, ...]:
    """Posts what went wrong, the same once a day.

    Args:
        troubles: what went wrong, free of patient data.
        site: as for `post_publication`.
        data_dir: as for `post_publication`.
        environ: as for `post_publication`.
        today: local date of the site.
    """
    if not troubles or not _addresses("failed", site):
        return ()
    steps = [{"step": trouble.step, "sentences": list(trouble.sentences)} for trouble in troubles]
    text = "\n".join([f"{site.name}: a run failed", *(line for trouble in troubles for line in trouble.sentences)])
    item = f"{today} {hashlib.sha256(text.encode()).hexdigest()}"
    return _post("failed", item, {"date": today.isoformat(), "steps": steps, "text": text}, site, data_dir, environ)


def _addresses(event: Event, site: SiteConfig) -> list[str]:
    """The environment variables of the addresses that want an event."""
    return list(dict.fromkeys(webhook.url_env for webhook in site.webhooks if event in webhook.on))


def _post(
    event: Event, item: str, facts: Mapping[str, Any], site: SiteConfig, data_dir: Path, environ: Mapping[str, str]
) -> tuple[str, ...]:
    body = {"event": event, "site_id": site.site_id, "site": site.name, **facts}

    def refusals() -> Iterator[str]:
        with open_sent_ledger(data_dir / SENT) as ledger:
            for variable in _addresses(event, site):
                if not ledger.was_posted(variable, f"{event} {item}"):
                    if refusal := _refusal(environ.get(variable, ""), body):
                        yield f"webhooks: the address in {variable} {refusal}."
                    else:
                        ledger.mark_posted(variable, f"{event} {item}")

    return tuple(refusals())


def _refusal(url: str, body: Mapping[str, Any]) -> str | None:
    """Why the address did not take the body; None if it did. A redirect is not followed."""
    import requests  # a night without webhooks needs none of it

    if not url:
        return "cannot be posted to: the variable is not set"
    try:
        answer = requests.post(url, json=body, timeout=TIMEOUT_S, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:  # their text quotes the address
        return f"cannot be posted to ({type(error).__name__})"
    return None if answer.ok and not answer.is_redirect else f"answered with HTTP status {answer.status_code}"
