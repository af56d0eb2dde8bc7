"""The ledger: what was intended, sent, accepted and delivered. It outlives the process."""
