"""Amazon Chime SDK Meetings on this machine: its API, its events, and a media server that carries sound and picture."""
