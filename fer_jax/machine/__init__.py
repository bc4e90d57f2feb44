"""The machine and how this process uses it: cores, memory, devices, files."""
