"""`Client`: the nouns of `AsyncClient` for ordinary code. Every method waits for its answer; see the nouns for docs."""

from __future__ import annotations

import grpc

from flockchain.client.async_client import AsyncClient
from flockchain.client.blobs import Blobs
from flockchain.client.blocking import Blocking, LoopThread, blocking, blocking_handle, blocking_iterator
from flockchain.client.chain import Chain
from flockchain.client.events import Events
from flockchain.client.extrinsics import ExtrinsicHandle, Extrinsics
from flockchain.client.light import Light
from flockchain.client.models import Models
from flockchain.client.rounds import Rounds
from flockchain.client.state import State
from flockchain.client.tasks import Tasks
from flockchain.client.transport import Timing
from flockchain.client.updates import UpdateHandle, Updates
from flockchain.primitives.numbers import Hash, Round, TaskId

__all__ = ["Client", "SubmittedExtrinsic", "SubmittedUpdate"]


class SubmittedExtrinsic(Blocking[ExtrinsicHandle]):
    """A submitted extrinsic: `wait` for it."""

    wait = blocking(ExtrinsicHandle.wait)

    @property
    def extrinsic_hash(self) -> Hash:
        return self.noun.extrinsic_hash


class SubmittedUpdate(Blocking[UpdateHandle]):
    """An update on its way through a round: `wait` for a stage of it."""

    wait = blocking(UpdateHandle.wait)

    @property
    def task(self) -> TaskId:
        return self.noun.task

    @property
    def round(self) -> Round:
        return self.noun.round

    @property
    def digest(self) -> Hash:
        return self.noun.digest


class BlockingChain(Blocking[Chain]):
    """`client.chain`"""

    get_status = blocking(Chain.get_status)
    get_block = blocking(Chain.get_block)
    get_block_hash = blocking(Chain.get_block_hash)
    get_header_proof = blocking(Chain.get_header_proof)
    get_light_block = blocking(Chain.get_light_block)
    get_validator_set = blocking(Chain.get_validator_set)
    get_metadata = blocking(Chain.get_metadata)
    get_genesis = blocking(Chain.get_genesis)


class BlockingExtrinsics(Blocking[Extrinsics]):
    """`client.extrinsics`"""

    submit = blocking_handle(Extrinsics.submit, SubmittedExtrinsic)
    submit_raw = blocking(Extrinsics.submit_raw)
    submit_batch = blocking(Extrinsics.submit_batch)
    get = blocking(Extrinsics.get)
    wait = blocking(Extrinsics.wait)
    get_account = blocking(Extrinsics.get_account)


class BlockingState(Blocking[State]):
    """`client.state`"""

    get = blocking(State.get)
    prove = blocking(State.prove)
    scan = blocking_iterator(State.scan)


class BlockingTasks(Blocking[Tasks]):
    """`client.tasks`"""

    get = blocking(Tasks.get)
    list = blocking(Tasks.list)
    create = blocking(Tasks.create)


class BlockingRounds(Blocking[Rounds]):
    """`client.rounds`"""

    get = blocking(Rounds.get)
    wait = blocking(Rounds.wait)
    follow = blocking_iterator(Rounds.follow)


class BlockingUpdates(Blocking[Updates]):
    """`client.updates`"""

    submit = blocking_handle(Updates.submit, SubmittedUpdate)
    find = blocking(Updates.find)


class BlockingModels(Blocking[Models]):
    """`client.models`"""

    get_lineage = blocking(Models.get_lineage)
    fetch = blocking(Models.fetch)
    fetch_aggregate = blocking(Models.fetch_aggregate)
    fetch_proof = blocking(Models.fetch_proof)
    verify = blocking(Models.verify)


class BlockingLight(Blocking[Light]):
    """`client.light`"""

    start = blocking(Light.start)
    resume = blocking(Light.resume)
    fetch_config = blocking(Light.fetch_config)
    fetch_proof = blocking(Light.fetch_proof)
    fetch_trail = blocking(Light.fetch_trail)
    follow = blocking(Light.follow)
    reach = blocking(Light.reach)
    compare = blocking(Light.compare)


class BlockingBlobs(Blocking[Blobs]):
    """`client.blobs`"""

    put = blocking(Blobs.put)
    get = blocking(Blobs.get)
    has = blocking(Blobs.has)


class BlockingEvents(Blocking[Events]):
    """`client.events`"""

    subscribe = blocking_iterator(Events.subscribe)


class Client:
    """One or more nodes of one chain. A whole trainer:

        account = Account.from_file("trainer.seed")
        with Client("127.0.0.1:9001", "127.0.0.1:9002") as client:
            for open_round in client.rounds.follow(task):
                model = client.models.fetch(task)
                update = train(model)  # canonical bytes: see `flockchain.exact` or your own code
                state = client.updates.submit(task, update, account=account).wait("judged")
                print(state.round, state.verdict)

    Reads go to the first node that answers. Updates and suites are uploaded to all of them, so name more than one.
    It may be used from several threads.
    """

    def __init__(
        self, *endpoints: str, timing: Timing | None = None, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        loop = LoopThread()
        inner = AsyncClient(*endpoints, timing=timing, credentials=credentials)
        self._loop = loop
        self._inner = inner
        self.chain = BlockingChain(inner.chain, loop)
        self.extrinsics = BlockingExtrinsics(inner.extrinsics, loop)
        self.state = BlockingState(inner.state, loop)
        self.tasks = BlockingTasks(inner.tasks, loop)
        self.rounds = BlockingRounds(inner.rounds, loop)
        self.updates = BlockingUpdates(inner.updates, loop)
        self.light = BlockingLight(inner.light, loop)
        self.models = BlockingModels(inner.models, loop)
        self.blobs = BlockingBlobs(inner.blobs, loop)
        self.events = BlockingEvents(inner.events, loop)

    def close(self) -> None:
        """Close the connections and stop the thread; a second call does nothing."""
        if self._loop.is_running:
            self._loop.run(self._inner.close())
        self._loop.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
