"""The stand-in for the Layers Partner API: a launcher for programs that want one beside them.

Nothing of the service is imported here. It runs in a process of its own, which the command `layers-stand-in` starts.
"""
