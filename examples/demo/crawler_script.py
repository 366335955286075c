"""A program that takes its time: it stands in for a crawler, and visits nothing.

It uses plain `print`. That its lines arrive one by one is due to who starts it: `python3 -u`.
"""

from __future__ import annotations

__all__ = ()

import argparse
import sys
import time

PAUSE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", "--keywords", required=True)
    parser.add_argument("-n", "--num-domains", type=int, default=3)
    options = parser.parse_args()
    count = options.num_domains
    print(f"Searching for {options.keywords!r} in {count} domains")
    links = 0
    for number in range(1, count + 1):
        domain = f"domain-{number}.example"
        print(f"[{number}/{count}] {domain}: fetching")
        time.sleep(PAUSE)
        if number == 2:
            print(f"[{number}/{count}] {domain}: slow, still waiting", file=sys.stderr)
        time.sleep(PAUSE)
        print(f"[{number}/{count}] {domain}: {7 * number} links")
        links += 7 * number
    print(f"Done: {links} links in {count} domains")


if __name__ == "__main__":
    main()
