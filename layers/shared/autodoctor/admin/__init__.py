"""What admins add and change: mechanics, workshops, plans and credit packs; each change leaves a row that says who."""
