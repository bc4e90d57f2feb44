"""What this machine is, and how this process uses it: cores, memory, devices, files."""
