"""What `staffroom bench peers` runs in processes of their own: one file for each way of searching.

`worker.py` is the loop that each process runs; it and the peers' files know nothing of Staffroom,
for a peer's environment has only what `NAME.txt` beside its file pins and what `base.txt` does.
`own.py` is Staffroom's side.
"""
