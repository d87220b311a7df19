"""The LMDB engine: one folder, one file of data, many readers, one writer at a time, in any number of processes.

The only package that imports ``lmdb``. Its modules, from the ground up: ``errors`` translates, ``folder`` checks and
creates, ``file_lock`` serialises the writers of all processes, ``environment`` is the open file with its spaces,
``registry`` opens a file once in a process, ``transactions`` reads and writes, ``engine`` is the port.
"""
