"""One flush a commit: a log that is flushed before LMDB, which is not. See ``docs/design/commit-log.md``.

    records      a commit's changes as bytes
    log          two segment files, and the place where the next record goes
    meta_pages   what LMDB reads first, and what a power failure may leave anyhow
    steady       the newest snapshot that is whole on the disk, and where the log goes on from it
    checkpoint   makes the newest snapshot the steady one
    write_back   writes data in portions, so that a checkpoint has little left to flush
    keeper       a thread that makes checkpoints in the background
    recovery     what the first to open does when nobody closed: the steady snapshot, and the log on top of it
    commits      all of it, as a write transaction of LMDB sees it

It knows LMDB's named databases, keys and values. It knows nothing of rows or tables.
"""
