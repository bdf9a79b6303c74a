"""Builders that tests share, by noun. Everything is made from small integers, so a test names what it uses."""
