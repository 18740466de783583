"""This machine: folders, ports, processes, the terminal."""
