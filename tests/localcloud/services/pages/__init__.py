"""Pages for the developer below `/_dev`: what happens, the mails, the rooms, and the console's components."""
