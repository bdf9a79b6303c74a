"""The seeded host: the production replica on simulated clock, network and disks, with adversaries and checkers."""
