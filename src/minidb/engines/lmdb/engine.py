"""The LMDB engine behind the port."""

from __future__ import annotations

import os

import lmdb

from minidb.engines.lmdb import registry
from minidb.engines.lmdb.environment import KnownSpaces
from minidb.engines.lmdb.errors import translate
from minidb.engines.lmdb.folder import DATA_FILE
from minidb.engines.lmdb.transactions import LmdbBase, LmdbSnapshot
from minidb.engines.port import Capabilities, Get, OtherStateError, Space
from minidb.engines.write_buffer import SPILL_BYTES, BufferedTransaction
from minidb.options import Options


class LmdbEngine:
    """An ``Engine`` on a folder. Several may share one open environment of the process."""

    capabilities = Capabilities(name="lmdb", max_key_bytes=511, is_durable=True, has_many_writers=False)
    allot_ids = None
    commit_tokens = None

    def __init__(self, location: str | os.PathLike[str], options: Options, *, spill_bytes: int = SPILL_BYTES) -> None:
        self._environment = registry.acquire(location, options)
        self._spill_bytes = spill_bytes
        self._is_closed = False
        self.location = str(self._environment.folder)

    def begin_read(self) -> LmdbSnapshot:
        environment = self._environment
        try:
            transaction = (environment.raw or environment.live()).begin()
            known = environment.known
            if transaction.id() != known.transaction_id:  # something was committed: look whether spaces changed
                transaction.abort()
                transaction, known = environment.begin_read()
        except lmdb.ReadersFullError:
            transaction, known = self._begin_read_with_care()
        except lmdb.Error as error:
            raise translate(error, self.location) from error
        return LmdbSnapshot(environment, transaction, known)

    def newest_getter(self, generation: int, space: Space) -> Get:
        environment = self._environment

        def get(key: bytes) -> bytes | None:
            # Of the work of ``begin_read`` and ``get`` what one key needs, in one function: a third of the time.
            try:
                transaction = (environment.raw or environment.live()).begin()
                try:
                    known = environment.known
                    if transaction.id() == known.transaction_id and known.generation == generation:
                        return transaction.get(key, None, known.handles[space])
                finally:
                    transaction.abort()
            except lmdb.Error:  # the snapshot meets it again, and says what it is
                pass
            raise OtherStateError

        return get

    def _begin_read_with_care(self) -> tuple[lmdb.Transaction[bytes], KnownSpaces]:
        """Begin when the table of readers is full, by making room first."""
        try:
            return self._environment.begin_read()
        except lmdb.Error as error:
            raise translate(error, self.location) from error

    def begin_write(self, timeout_s: float, began_at: object = None) -> BufferedTransaction:
        self._environment.end_orphans()
        base = LmdbBase(self._environment)
        try:
            base.begin(timeout_s, began_at)
            return BufferedTransaction(base, spill_bytes=self._spill_bytes)
        except BaseException as error:
            base.rollback()
            if isinstance(error, lmdb.Error):
                raise translate(error, self.location) from error
            raise

    def sync(self) -> None:
        self._environment.sync()

    def statistics(self) -> dict[str, int]:
        information = self._environment.live().info()
        transaction, known = self._environment.begin_read()
        try:
            used_bytes = self._environment.used_bytes(transaction, known)
        finally:
            transaction.abort()
        return {
            "size_bytes": (self._environment.folder / DATA_FILE).stat().st_size,
            "used_bytes": used_bytes,
            "map_bytes": information["map_size"],
            "readers": information["num_readers"],
            "last_transaction_id": information["last_txnid"],
            **self._environment.log_statistics(),
        }

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            registry.release(self._environment)
