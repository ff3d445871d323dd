"""Answers of Eureka as its server writes them, of records that a test says."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from meshbridge import RegisteredService
from meshbridge.steps import at_once
from meshbridge_eureka.fields import any_record
from meshbridge_eureka.services import News
from meshbridge_eureka.view import View

Record = dict[str, object]

CORPUS = Path(__file__).parents[2] / "corpus" / "eureka"
NOW = 1_767_225_600_000
"""The moment that all moments of the corpus were made."""


def captured(name: str) -> bytes:
    """Return what a real server answered."""
    return (CORPUS / f"{name}.json").read_bytes()


def record(identity: str = "h:orders:8080", /, **changed: object) -> Record:
    """Return an instance as Spring Cloud registers it; a field that is ... is left out."""
    whole: Record = {
        "instanceId": identity,
        "hostName": "h",
        "app": "ORDERS",
        "ipAddr": "10.0.0.1",
        "status": "UP",
        "overriddenStatus": "UNKNOWN",
        "port": {"$": 8080, "@enabled": "true"},
        "securePort": {"$": 443, "@enabled": "false"},
        "countryId": 1,
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
            "name": "MyOwn",
        },
        "leaseInfo": {
            "renewalIntervalInSecs": 30,
            "durationInSecs": 90,
            "registrationTimestamp": NOW,
            "lastRenewalTimestamp": NOW,
            "evictionTimestamp": 0,
            "serviceUpTimestamp": NOW,
        },
        "metadata": {"@class": "java.util.Collections$EmptyMap"},
        "vipAddress": "orders",
        "secureVipAddress": "orders",
        "lastUpdatedTimestamp": str(NOW),
        "lastDirtyTimestamp": str(NOW),
        "actionType": "ADDED",
    }
    return {key: held for key, held in (whole | changed).items() if held is not ...}


def hash_of(records: Iterable[object]) -> str:
    """Return the hash code of records, as the server computes it."""
    counts = Counter(str(any_record(each).get("status") or "UNKNOWN") for each in records)
    return "".join(f"{status}_{number}_" for status, number in sorted(counts.items()))


def body_of(*applications: object, hashcode: object = "") -> bytes:
    """Return an answer that lists these applications."""
    told = {"versions__delta": "1", "apps__hashcode": hashcode, "application": applications}
    return json.dumps({"applications": told}).encode()


def listing_of(*records: object, hashcode: str | None = None) -> bytes:
    """Return an answer of one application, ORDERS, with these instances."""
    known = hash_of(records) if hashcode is None else hashcode
    return body_of({"name": "ORDERS", "instance": records}, hashcode=known)


def full(view: View, body: bytes, now: int | None = NOW) -> News:
    """Let a view take an answer to a question for everything."""
    return at_once(view.full(body, now))


def delta(view: View, body: bytes, now: int | None = NOW) -> News:
    """Let a view take an answer to a question for changes."""
    return at_once(view.delta(body, now))


def by_name(news: News) -> Mapping[str, RegisteredService]:
    """Return services by what they are called."""
    return {each.id.name: each for each in news.services}
