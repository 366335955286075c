"""Faults that a stream has to survive: real processes, one SQLite file, two servers.

`app.py` is run as two single-process uvicorn servers on one file. The tests kill, stop, cut,
restore and fill up; `_history.py` then judges what each follower saw, like Jepsen does: contiguous,
nothing twice, the same bytes under the same id for all, one last event.

The short form is part of `make test`. The long form takes minutes:

    make chaos                                     # 10 rounds of each fault, at random moments
    make chaos ARGS="-k killed"                    # those of some faults
    STREAMKIT_CHAOS_ROUNDS=200 make chaos          # more of them
    STREAMKIT_CHAOS_ROUND=123456 make chaos ARGS="-k killed"   # one of them again, by its number

Each round has a number, from which its moments and sizes are drawn; it is in the name of the test
that failed. The same number draws the same; how the machine shares its time out differs. Each
worker writes what it logs to a file, which is printed when a test fails.
"""
