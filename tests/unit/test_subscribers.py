"""What the status server shows of a subscriber: its names are read by people's scripts."""

import json

import msgspec

from meshbridge.outlet import Subscribed, Subscriber


def test_a_subscriber_is_shown_under_names_that_last() -> None:
    """Times in seconds, and null where there is none."""
    asked = Subscribed("type.test/Cluster", "2", "1", 2, 0.25)
    shown = json.loads(msgspec.json.encode(Subscriber("xds", "ipv4:1", "a", 1.5, (asked,))))
    assert shown == {
        "outlet": "xds",
        "peer": "ipv4:1",
        "node": "a",
        "connected_at": 1.5,
        "types": [
            {
                "type": "type.test/Cluster",
                "sent": "2",
                "accepted": "1",
                "responses": 2,
                "unanswered_seconds": 0.25,
                "ack_seconds": None,
            }
        ],
        "rejections": [],
    }
