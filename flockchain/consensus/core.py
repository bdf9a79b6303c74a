"""Simplex, as a pure state machine: an event comes in, a list of effects goes out.

Events only bring facts: votes, certificates, blocks, answers of the host, time that has passed. Then the
rules are tried in order until none has anything left to do, so no fact can arrive too early to count.
The rules R1.. are numbered as in this package's README, which also says why they are safe.

Knows one epoch and nothing of clocks, disks, sockets or of how a block executes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flockchain.consensus import effects, events
from flockchain.consensus.ballot import Ballot
from flockchain.consensus.certificates import CertificateBook
from flockchain.consensus.chain import BlockTree, CheckState, MissingBlock, verify_body
from flockchain.consensus.config import ConsensusKeys, CoreConfig, EpochContext
from flockchain.consensus.elector import compute_leader
from flockchain.consensus.guard import GuardRecord, GuardState, VoteRecord
from flockchain.consensus.presence import Presence
from flockchain.consensus.proposals import MissingCertificates, Parent, ProposalRules, Unsound
from flockchain.consensus.resolver import Purpose, Resolver
from flockchain.consensus.timers import Timer, TimerKind, compute_timeout_ms
from flockchain.consensus.view import ViewBook, ViewState
from flockchain.consensus.votes import VoteBook, VoteVerifier
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block
from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import PROPOSALS_AHEAD_MAX, VIEWS_AHEAD_MAX, VIEWS_BEHIND_KEPT
from flockchain.primitives.numbers import Epoch, Hash, NodeId, View
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import Certificate, Proposal, Vote, VoteKind, decode_bitmap

__all__ = ["Core"]


class Core:
    """One node's part in one epoch. Single-threaded; the host performs the effects in order."""

    def __init__(
        self, config: CoreConfig, context: EpochContext, guard: GuardState, keys: ConsensusKeys | None
    ) -> None:
        self._config = config
        self._context = context
        self._guard = guard
        self._ballot = Ballot(config, context, guard, keys)
        self._verifier = VoteVerifier(config.bls, config.genesis_hash, context.validators)
        self._certificates = CertificateBook(context.anchor_hash)
        self._tree = BlockTree(context.anchor_hash, context.anchor_height)
        self._rules_of_form = ProposalRules(context, self._certificates, self._tree)
        self._votes = VoteBook(self._verifier, context.validators, self._certificates.has)
        self._views = ViewBook(context.validators, context.seed)
        self._presence = Presence(context.validators, context.my_index)
        self._resolver = Resolver(config.retry_ms)
        self._view = View(0)  # until Started
        self._due: list[effects.Effect] = []
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.Started: self._on_started,
            events.SyncedTo: self._on_synced_to,
            events.ProposalReceived: self._on_proposal,
            events.VoteReceived: self._on_vote,
            events.CertificateReceived: self._on_certificate,
            events.BlockReceived: self._on_block,
            events.CertificatesRequested: self._on_certificates_requested,
            events.BlockRequested: self._on_block_requested,
            events.BlockBuilt: self._on_block_built,
            events.BuildFailed: self._on_build_failed,
            events.BlockChecked: self._on_block_checked,
            events.TimerFired: self._on_timer,
            events.SigningAllowed: self._on_signing_allowed,
            events.OwnVotesRequested: self._on_own_votes_requested,
        }
        self._rules: tuple[Callable[[], bool], ...] = (
            self._finalize,  # R8
            self._leave_view,  # R7
            self._propose,  # R2
            self._vet_proposal,  # R3
            self._notarize,  # R4
            self._nullify,  # R5
        )

    # --- What the host sees

    @property
    def epoch(self) -> Epoch:
        return self._context.epoch

    @property
    def view(self) -> View:
        """The view that we are in; 0 before `Started`."""
        return self._view

    @property
    def leader(self) -> int:
        """Index of the current view's leader."""
        return self._views.get(self._view).leader

    @property
    def validators(self) -> ValidatorSet:
        """Who votes in this epoch."""
        return self._context.validators

    def get_leader(self, view: View) -> int:
        """Index of a view's leader."""
        return compute_leader(self._context.validators, self._context.seed, view)

    @property
    def finalized_view(self) -> View:
        """The view of the last finalization whose blocks have all been handed over."""
        return self._certificates.floor_view

    @property
    def is_finished(self) -> bool:
        """Whether the epoch's last block is final: then the core only answers those who are behind."""
        return self._tree.floor_height == self._context.last_height

    def get_block(self, block_hash: Hash) -> Block | None:
        """A block that is not final yet, or the last final one."""
        return self._tree.get_block(block_hash)

    def get_guard_records(self) -> tuple[GuardRecord, ...]:
        """What a compacted journal has to hold; write it only when the finalized blocks are on disk."""
        return self._guard.get_live_records()

    def on_event(self, event: events.Event) -> list[effects.Effect]:
        """Take one event; return what the host has to do, in order."""
        if self._view or isinstance(event, events.Started | events.SyncedTo):
            self._handlers[type(event)](event)
            while self._view and not self.is_finished and self._apply_a_rule():
                pass
        due, self._due = self._due, []
        return due

    def _apply_a_rule(self) -> bool:
        """Try the rules in their order; False if none has anything to do."""
        return any(rule() for rule in self._rules)

    # --- The rules: when something holds, then do it and say True

    def _propose(self) -> bool:
        """R2. When we lead the view, then build upon the highest block that may be built upon.

        The last block of an epoch is not built upon but proposed again.
        """
        state = self._current
        if state.proposal or state.parent or state.is_hopeless:
            return False
        if not self._ballot.is_seat_of(state.leader) or not self._ballot.may_cast(VoteKind.NOTARIZE, self._view):
            return False
        parent = self._rules_of_form.find_parent(self._view)
        if not isinstance(parent, Parent):
            return self._want(parent)
        self._check(parent.path)
        if self._tree.get_check(parent.block_hash) is CheckState.INVALID:
            state.is_hopeless = True
            return True
        if self._rules_of_form.is_last_of_epoch(parent.block_hash):
            return self._propose_again(parent)
        state.parent = parent
        self._emit(effects.BuildBlock(self._view, parent.view, parent.block_hash))
        return True

    def _propose_again(self, parent: Parent) -> bool:
        block = self._tree.get_block(parent.block_hash)
        if block is None or self._tree.get_check(parent.block_hash) is not CheckState.VALID:
            return False
        self._cast_proposal(parent.view, parent.block_hash, block)
        return True

    def _vet_proposal(self) -> bool:
        """R3. When the view has a proposal, then ask for whatever it rests upon, and have it checked once."""
        state = self._current
        if state.proposal is None or state.proposal_hash is None or state.is_vetted or state.is_hopeless:
            return False
        found = self._rules_of_form.judge(state.proposal, state.proposal_hash, state.leader)
        if isinstance(found, MissingCertificates | MissingBlock):
            return self._want(found)
        if isinstance(found, Unsound):
            state.is_hopeless = True
            return True
        self._check(found.path)
        state.apply_vetted(found.parent_view)
        return True

    def _notarize(self) -> bool:
        """R4. When the proposal is valid and we have voted for nothing in this view, then NOTARIZE it."""
        state = self._current
        if not state.is_vetted or state.proposal is None or state.proposal_hash is None or state.is_hopeless:
            return False
        check = self._tree.get_check(state.proposal_hash)
        if check is CheckState.INVALID:
            state.is_hopeless = True
            return True
        if check is not CheckState.VALID or not self._ballot.may_cast(VoteKind.NOTARIZE, self._view):
            return False
        proposal = state.proposal
        self._cast(self._ballot.cast_notarize(self._view, state.proposal_hash, proposal.parent_view, proposal.block))
        return True

    def _nullify(self) -> bool:
        """R5. When the time is over or nothing can come of the view, then NULLIFY, unless we signed FINALIZE."""
        state = self._current
        if not (state.is_expired or state.is_hopeless) or not self._ballot.may_cast(VoteKind.NULLIFY, self._view):
            return False
        self._cast(self._ballot.cast_nullify(self._view))
        return True

    def _leave_view(self) -> bool:
        """R7. When any certificate of this view or a later one is held, then enter the view after the highest."""
        highest = self._certificates.highest_view
        if highest < self._view:
            return False
        self._expose_leader()
        self._enter(View(highest + 1))
        return True

    def _finalize(self) -> bool:
        """R8. When a block is certified final, then hand over it and its ancestors; ask for those we lack."""
        certificate = self._certificates.finalization
        if certificate is None:
            return False
        path = self._tree.find_path(certificate.block_hash)
        if isinstance(path, MissingBlock):
            self._emit(*self._resolver.want_block(Purpose.FINALITY, path.block_hash))
            return False
        block = self._tree.get_block(certificate.block_hash)
        invariant(block is not None and len(path) > 0, "a new final block is above the floor", view=certificate.view)
        self._check(path)
        self._emit(effects.FinalizeBlocks(path, certificate))
        if block is not None:
            self._move_floor(block, certificate)
        return True

    # --- Certificates: the facts that change what may be signed

    def _hold(self, certificate: Certificate) -> None:
        """R6. When a certificate is new, then pass it on; answer a notarization with FINALIZE if we may.

        Seeing the block is not needed for that: a quorum has. But we do not sign for what we know to be invalid.
        """
        if not self._certificates.add(certificate):
            return
        self._emit(effects.BroadcastCertificate(certificate))
        if certificate.kind is VoteKind.FINALIZE:
            return
        is_answered = (
            certificate.kind is VoteKind.NOTARIZE
            and self._ballot.may_cast(VoteKind.FINALIZE, certificate.view)
            and self._tree.get_check(certificate.block_hash) is not CheckState.INVALID
        )
        if is_answered:
            self._cast(self._ballot.cast_finalize(certificate))
        else:
            self._emit(*self._ballot.record(certificate))

    def _count(self, vote: Vote, sender: NodeId | None, *, is_verified: bool) -> None:
        """Votes add up to certificates, and contradictions to evidence."""
        outcome = self._votes.add(vote, sender, is_verified=is_verified)
        self._emit(*(effects.ReportEvidence(evidence) for evidence in outcome.evidence))
        for blamed in outcome.blamed:
            self._blame(blamed, effects.BlameReason.BAD_VOTE)
        if outcome.certificate is not None:
            self._hold(outcome.certificate)

    def _expose_leader(self) -> None:
        """R12. When a view ends without the block that its leader showed us, then pass on the leader's signature.

        Whoever was shown another block in that view holds the other half of the proof.
        """
        state = self._current
        is_settled = self._view < self._certificates.floor_view
        if state.proposal is None or state.proposal_hash is None or is_settled or self._ballot.is_seat_of(state.leader):
            return
        if self._certificates.get_notarized(self._view) != state.proposal_hash:
            signature = state.proposal.signature
            vote = Vote(VoteKind.NOTARIZE, self.epoch, self._view, state.proposal_hash, state.leader, signature)
            self._emit(effects.ExposeVote(vote))

    def _cast(self, cast: tuple[effects.Journal, Vote]) -> None:
        """Persist, then send, then count: the order is the contract."""
        journal, vote = cast
        self._emit(journal, effects.BroadcastVote(vote))
        self._count(vote, None, is_verified=True)

    def _cast_proposal(self, parent_view: View, block_hash: Hash, block: Block) -> None:
        """A proposal is its leader's NOTARIZE with the block: journaled like any vote, so never two in a view."""
        journal, vote = self._ballot.cast_notarize(self._view, block_hash, parent_view, block)
        proposal = Proposal(self._view, parent_view, block, vote.signature)
        self._current.apply_proposal(proposal, block_hash)
        self._current.is_vetted = True
        self._emit(journal, effects.BroadcastProposal(proposal))
        self._count(vote, None, is_verified=True)

    # --- Events from the host

    def _on_started(self, event: events.Started) -> None:
        """R1. Go on where the guard's records end; what was signed before is counted and said again, never changed."""
        invariant(self._view == 0, "a core starts once", view=self._view)
        for block in self._guard.get_blocks():
            self._tree.add(compute_block_hash(block.header), block)
        for certificate in self._guard.get_certificates():
            self._certificates.add(certificate)
        cast = self._guard.get_votes() if self._ballot.has_seat else ()
        voted = max((record.view for record in cast), default=View(0))
        self._enter(View(max(self._certificates.highest_view + 1, self._guard.floor + 1, voted)))
        for record in cast:
            self._count(self._ballot.repeat(record), None, is_verified=True)
        if cast:
            self._say_again()

    def _on_synced_to(self, event: events.SyncedTo) -> None:
        block_hash = compute_block_hash(event.block.header)
        certificate = event.certificate
        invariant(
            certificate.kind is VoteKind.FINALIZE
            and certificate.epoch == self.epoch
            and certificate.block_hash == block_hash,
            "a synced block comes with its own finalization",
            certificate=certificate,
        )
        if event.block.header.height > self._tree.floor_height:
            self._move_floor(event.block, certificate)

    def _on_block_built(self, event: events.BlockBuilt) -> None:
        state = self._current
        parent = state.parent
        if event.view != self._view or parent is None or state.proposal is not None:
            return
        if not self._ballot.may_cast(VoteKind.NOTARIZE, self._view):
            return
        header = event.block.header
        is_as_asked = (header.view, header.parent) == (self._view, parent.block_hash)
        invariant(is_as_asked, "a built block names the view and the parent that were asked for", view=header.view)
        block_hash = compute_block_hash(header)
        self._tree.add_own(block_hash, event.block)
        self._cast_proposal(parent.view, block_hash, event.block)

    def _on_build_failed(self, event: events.BuildFailed) -> None:
        if event.view == self._view and self._current.proposal is None:
            self._current.is_hopeless = True

    def _on_block_checked(self, event: events.BlockChecked) -> None:
        self._tree.apply_check(event.block_hash, event.is_valid)

    def _on_timer(self, event: events.TimerFired) -> None:
        timer = event.timer
        if timer.kind is TimerKind.RESOLVE:
            self._emit(*self._resolver.on_timer())
        elif timer.view != self._view or self.is_finished:
            return
        elif timer.kind is TimerKind.RETRY:
            self._say_again()
            missing = View(self.finalized_view + 1)
            self._emit(effects.RequestCertificates(missing), effects.SetTimer(timer, self._config.retry_ms))
        elif timer.kind is TimerKind.VIEW or self._current.proposal is None:
            self._current.is_expired = True

    # --- Events from peers: check the form, check the signature, then believe

    def _on_proposal(self, event: events.ProposalReceived) -> None:
        proposal = event.proposal
        view, block = proposal.view, proposal.block
        if not self._is_near(view, PROPOSALS_AHEAD_MAX):
            return
        state = self._views.get(view)
        block_hash = compute_block_hash(block.header)
        if state.proposal_hash == block_hash:
            return
        self._presence.on_word(state.leader)
        vote = Vote(VoteKind.NOTARIZE, self.epoch, view, block_hash, state.leader, proposal.signature)
        if not self._verifier.verify_vote(vote):
            self._blame(event.sender, effects.BlameReason.BAD_PROPOSAL)
            return
        self._heed_own(VoteKind.NOTARIZE, view, block_hash, state.leader)
        if not verify_body(block):
            self._blame(event.sender, effects.BlameReason.BAD_BODY)
        elif state.proposal is None and view >= self._view:
            state.apply_proposal(proposal, block_hash)
            self._keep(block_hash, block)
        elif self._resolver.is_wanted(block_hash) or self._certificates.is_certified(block_hash):
            self._keep(block_hash, block)
        self._count(vote, event.sender, is_verified=True)

    def _on_vote(self, event: events.VoteReceived) -> None:
        vote = event.vote
        if vote.epoch != self.epoch:
            return
        if not self._verifier.is_well_formed(vote):
            self._blame(event.sender, effects.BlameReason.BAD_VOTE)
            return
        self._presence.on_word(vote.signer)
        if vote.kind is VoteKind.NULLIFY and (vote.view < self._view or self.is_finished):
            self._answer(event.sender, vote.view)
        is_strange = self._is_strange(vote.kind, vote.view, vote.block_hash, vote.signer)
        if is_strange and not self._verifier.verify_vote(vote):
            self._blame(event.sender, effects.BlameReason.BAD_VOTE)
            return
        self._heed_own(vote.kind, vote.view, vote.block_hash, vote.signer)
        if self._is_near(vote.view, VIEWS_AHEAD_MAX):
            self._count(vote, event.sender, is_verified=is_strange)

    def _on_certificate(self, event: events.CertificateReceived) -> None:
        certificate = event.certificate
        if certificate.epoch != self.epoch or self.is_finished:
            return
        if self._certificates.has(certificate.kind, certificate.view):
            return
        if not self._verifier.verify_certificate(certificate):
            self._blame(event.sender, effects.BlameReason.BAD_CERTIFICATE)
            return
        self._heed_own(certificate.kind, certificate.view, certificate.block_hash, *decode_bitmap(certificate.signers))
        self._hold(certificate)

    def _on_block(self, event: events.BlockReceived) -> None:
        block_hash = compute_block_hash(event.block.header)
        if not self._resolver.is_wanted(block_hash):
            return
        if not verify_body(event.block):
            self._blame(event.sender, effects.BlameReason.BAD_BODY)
            return
        self._keep(block_hash, event.block)

    def _on_certificates_requested(self, event: events.CertificatesRequested) -> None:
        self._answer(event.sender, event.from_view)

    def _on_block_requested(self, event: events.BlockRequested) -> None:
        block = self._tree.get_block(event.block_hash)
        if block is not None:
            self._emit(effects.SendBlock(event.sender, block))

    # --- What this key signed (R13, R14; the decisions are `quarantine`'s)

    def _on_signing_allowed(self, event: events.SigningAllowed) -> None:
        """R13. When our records may be trusted, then sign; before that, only say again what is recorded."""
        self._guard.is_muted = not event.is_allowed
        if event.suspect is not None:
            self._guard.apply_suspicion(event.suspect)

    def _on_own_votes_requested(self, event: events.OwnVotesRequested) -> None:
        votes, certificates = self._votes.collect_of(event.signer), self._certificates.collect_of(event.signer)
        self._emit(effects.SendOwnVotes(event.sender, votes, certificates))

    def _heed_own(self, kind: VoteKind, view: View, block_hash: Hash, *signers: int) -> None:
        """R14. When our signature is on what we have no record of, then sign no more, and say so.

        At once: the same event may hold what R6 answers, and the host's word comes after it.
        """
        if self._is_strange(kind, view, block_hash, *signers):
            self._guard.is_muted = True
            self._emit(effects.OwnVoteHeard(kind, view, block_hash))

    def _is_strange(self, kind: VoteKind, view: View, block_hash: Hash, *signers: int) -> bool:
        return any(map(self._ballot.is_seat_of, signers)) and self._guard.is_unknown(kind, view, block_hash)

    # --- Small steps

    @property
    def _current(self) -> ViewState:
        return self._views.get(self._view)

    def _emit(self, *due: effects.Effect) -> None:
        self._due.extend(due)

    def _is_near(self, view: View, ahead_max: int) -> bool:
        """Whether what comes for this view is kept: the bound on all buffers."""
        return not self.is_finished and max(self._view - VIEWS_BEHIND_KEPT, 1) <= view <= self._view + ahead_max

    def _enter(self, view: View) -> None:
        if self._view:
            self._presence.on_view_over(self._view, self._current.leader)
        self._view = view
        self._resolver.on_view_entered()
        oldest = View(max(view - VIEWS_BEHIND_KEPT, 1))
        self._votes.prune_below(oldest)
        for old in self._views.pop_below(oldest):
            self._drop_body(old.proposal_hash)
        self._emit(effects.EnteredView(view))
        self._expect_leader()
        if self._ballot.has_seat:
            final_view = self._certificates.highest_final_view
            distance = view - final_view - self._presence.count_excused(final_view)
            for kind, start_ms in (
                (TimerKind.LEADER, self._config.leader_timeout_ms),
                (TimerKind.VIEW, self._config.view_timeout_ms),
            ):
                after_ms = compute_timeout_ms(start_ms, self._config.timeout_max_ms, distance)
                self._emit(effects.SetTimer(Timer(kind, view), after_ms))
        self._emit(effects.SetTimer(Timer(TimerKind.RETRY, view), self._config.retry_ms))

    def _expect_leader(self) -> None:
        """R15. When the leader of a new view has been gone for long, then its time is over at once."""
        state = self._current
        if self._presence.is_gone(state.leader):
            state.is_expired = True

    def _say_again(self) -> None:
        """R9. When a view does not end, then repeat what opened it and what we signed: messages may have been lost."""
        openers = self._certificates.get_openers(self._view)
        self._emit(*(effects.BroadcastCertificate(opener, is_repeated=True) for opener in openers))
        finalized = [record for record in self._guard.get_votes() if record.kind is VoteKind.FINALIZE]
        current = (self._guard.get_vote(kind, self._view) for kind in (VoteKind.NOTARIZE, VoteKind.NULLIFY))
        for record in (*finalized[-1:], *current):
            if record is not None and self._ballot.has_seat:
                self._emit(self._repeat(record))

    def _repeat(self, record: VoteRecord) -> effects.BroadcastVote | effects.BroadcastProposal:
        vote = self._ballot.repeat(record)
        block = self._guard.get_block(record.block_hash)
        if record.kind is not VoteKind.NOTARIZE or block is None or vote.signer != self._views.get(record.view).leader:
            return effects.BroadcastVote(vote)
        return effects.BroadcastProposal(Proposal(record.view, record.parent_view, block, vote.signature))

    def _answer(self, peer: NodeId | None, from_view: View) -> None:
        """R10. When a peer is in a view that is over, or asks, then send what lets it leave that view.

        When the epoch is over, that is the finalization of its last block, whatever the view.
        """
        certificates = self._certificates.collect_from(self.finalized_view if self.is_finished else from_view)
        if peer is not None and certificates:
            self._emit(effects.SendCertificates(peer, certificates))

    def _want(self, missing: MissingCertificates | MissingBlock) -> bool:
        """R11. When a rule lacks something, then ask for it, and again until it is here or of no use any more."""
        if isinstance(missing, MissingBlock):
            self._emit(*self._resolver.want_block(Purpose.PARENT, missing.block_hash))
        else:
            self._emit(*self._resolver.want_certificates(missing.from_view))
        return False

    def _check(self, path: Iterable[Hash]) -> None:
        """Hand each block over once, parents first."""
        for block_hash in path:
            block = self._tree.get_block(block_hash)
            if block is not None and self._tree.get_check(block_hash) is CheckState.NOT_ASKED:
                self._tree.apply_asked(block_hash)
                self._emit(effects.CheckBlock(block.header.view, block, block_hash))

    def _keep(self, block_hash: Hash, block: Block) -> None:
        self._tree.add(block_hash, block)
        self._resolver.on_block(block_hash)

    def _drop_body(self, block_hash: Hash | None) -> None:
        """Of a view long over: nobody is known to have notarized the block, and we have not."""
        if block_hash is None or self._guard.get_block(block_hash) or self._certificates.is_certified(block_hash):
            return
        self._tree.drop(block_hash)

    def _move_floor(self, block: Block, certificate: Certificate) -> None:
        """Everything up to this finalization is settled."""
        self._tree.apply_floor(certificate.block_hash, block)
        self._certificates.apply_floor(certificate)
        self._guard.apply_floor(certificate.view)
        self._resolver.on_finalized()

    def _blame(self, sender: NodeId | None, reason: effects.BlameReason) -> None:
        if sender is not None:
            self._emit(effects.BlamePeer(sender, reason))
