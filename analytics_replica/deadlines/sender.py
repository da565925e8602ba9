"""The program that hands one message to apprise; sinks.py runs it and kills it if it hangs.

Here: reading the message from standard input (a URL on the command line would show its secrets in
the process list), sending it, the exit code. Not here: timeouts, retries, wording.
"""

from __future__ import annotations

import json
import sys

import apprise


def main() -> int:
    """0 if the channel took the message, 1 if it refused, 2 if the URL is not one."""
    wanted = json.load(sys.stdin)
    channel = apprise.Apprise()
    if not channel.add(wanted["url"]):
        return 2
    return 0 if channel.notify(title=wanted["title"], body=wanted["body"]) else 1


if __name__ == "__main__":
    sys.exit(main())
