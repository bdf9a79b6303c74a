"""A whole network on this machine: nodes, evaluators and trainers as real processes on loopback.

Knows the command line that starts a node and the modules that the learning side starts as; never imports torch.
"""
