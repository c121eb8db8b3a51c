"""A folder of photos -> a folder of results: on this machine or on a Ray cluster, whatever fails, and again after a restart.

`command.py` is the door. `items.py` knows photos and their result folders, `run.py` hands the work out and takes it back, `work.py` is
what a worker does, `local.py` and `cluster.py` are the two places where workers live, `summary.py` what is told in the end.
"""
