"""The stand-in in other projects' tests: start one, command it, and ask what came. Python alone is enough for it."""
