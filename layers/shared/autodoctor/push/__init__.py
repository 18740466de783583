"""Web Push: who is called while their page is closed, what they read, and how it is sealed, signed and sent."""
