"""How a client says that it joins and leaves: by our own protocol, which the console speaks, or by Chime's."""
